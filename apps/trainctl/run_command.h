// What `train` and `resume` share: a run watched, then told.
#pragma once

#include <functional>

#include "arguments.h"
#include "experiment/run.h"

namespace trainctl::app {

/// Runs `work` with signals handled and its progress shown; prints the run directory and the final values. A result
/// that cannot be printed is only warned of, as the run stands. Returns the exit code.
int run_and_show(const Globals& globals, const std::function<RunResult(Observer&)>& work);

}  // namespace trainctl::app
