// What `train` and `resume` share: a run watched, then told.
#pragma once

#include <functional>

#include "arguments.h"
#include "experiment/folds.h"
#include "experiment/run.h"

namespace trainctl::app {

/// Runs `work` with signals handled and its progress shown; prints the run directory and the final values. A result
/// that cannot be printed is only warned of, as the run stands. Returns the exit code.
int run_and_show(const Globals& globals, const std::function<RunResult(Observer&)>& work);

/// The same for a run of each fold: prints their directories and what they reached together.
int run_and_show_folds(const Globals& globals, const std::function<FoldsResult(Observer&)>& work);

}  // namespace trainctl::app
