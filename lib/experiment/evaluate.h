// `eval`: the metrics of a checkpoint on a split.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "experiment/experiment.h"
#include "store/history.h"

namespace trainctl {

struct EvaluateOptions {
  std::filesystem::path target;  ///< a run directory (its best checkpoint, else its last) or a checkpoint file
  std::string split;             ///< empty: test where the config has it, else val
  std::string weights;           ///< "model" or the name of an average; empty: as `trainer.evaluate` says
  std::optional<std::filesystem::path>
      config;           ///< instead of the checkpoint's own experiment; the model must be the same
  Overrides overrides;  ///< of `config`
  std::string device;
  std::vector<std::string> packages;            ///< result packages, as a config writes them; none: its `results`
  std::string field;                            ///< that results hold predictions against; empty: as `results` says
  std::optional<std::filesystem::path> output;  ///< folder for results; none: only metrics are computed
};

struct EvaluateResult {
  std::filesystem::path checkpoint;
  std::string split;
  std::string weights;
  std::int64_t epoch = 0;
  std::int64_t step = 0;
  std::int64_t samples = 0;
  NamedValues values;                            ///< "test/loss", "test/accuracy"
  std::optional<std::filesystem::path> results;  ///< the JSON file, if results were asked for
  double seconds = 0.0;
};

EvaluateResult evaluate(const EvaluateOptions& options);

}  // namespace trainctl
