// `results` of a run: what its config says is made of the weights when it is finished.
#pragma once

#include <string>

#include "experiment/run.h"

namespace trainctl {

/// Makes the results of a finished run that are not there yet for its weights, by a session of its own. Nothing where
/// the config has no `results`.
void make_results(const RunPaths& paths, const std::string& device);

}  // namespace trainctl
