// `predict`: what the models of a checkpoint answer to data that need no targets.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "experiment/experiment.h"
#include "results/prediction_file.h"

namespace trainctl {

struct PredictOptions {
  std::filesystem::path target;     ///< a run directory (its best checkpoint, else its last) or a checkpoint file
  std::vector<std::string> inputs;  ///< files or folders, or data sets as a config writes them; none: the split's own
  std::string split;                ///< as whose data `inputs` are read; empty: test, else val, else train
  std::string weights;              ///< "model" or the name of an average; empty: as `trainer.evaluate` says
  std::filesystem::path output;     ///< .h5, .hdf5 or .csv
  Overrides overrides;              ///< of the checkpoint's own experiment
  std::string device;
  std::int64_t batch_size = 0;  ///< 0: the split's
};

struct PredictResult {
  std::filesystem::path checkpoint;
  std::string split;
  std::string weights;
  std::int64_t epoch = 0;
  std::int64_t step = 0;
  std::int64_t samples = 0;
  std::filesystem::path output;
  std::vector<PredictedOutput> outputs;
  double seconds = 0.0;
};

/// Reads the samples as the split reads its own, without targets; fields that were standardised by what was fitted in
/// training, transforms that draw left out. Writes what the step's models answer, in the targets' own unit. Nothing is
/// read but headers before all that can be wrong has been refused: a usage, config or data Error.
PredictResult predict(const PredictOptions& options);

}  // namespace trainctl
