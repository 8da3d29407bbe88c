// The learning-rate range test: how the loss moves while the learning rate grows from far too small to far too large.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "schema/resolve.h"

namespace trainctl {

struct FindLrOptions {
  std::filesystem::path config;
  Overrides overrides;
  std::string device;
  std::string target;   ///< what is varied; empty: the learning rate of the only optimizer
  std::string monitor;  ///< the training value that is watched; empty: "loss", or the step's only one
  double start = 1e-7;
  double end = 10.0;
  int steps = 200;
  bool linear = false;  ///< steps of equal size, rather than of equal ratio
};

struct FindLrPoint {
  double value = 0.0;     ///< of the target
  double loss = 0.0;      ///< of this update's batches
  double smoothed = 0.0;  ///< exponential mean of the losses, corrected for its start
};

struct FindLrResult {
  std::string target;
  std::string monitor;
  std::vector<FindLrPoint> points;
  std::string stopped;  ///< why the test ended
  /// Where the smoothed loss falls most steeply with the logarithm of the value, and a tenth of the value where it is
  /// least; none if it never falls.
  std::optional<double> steepest;
  std::optional<double> tenth_of_minimum;
};

/// Trains from the experiment's start with the target growing at each update, as the learning-rate range test does
/// (Smith, "Cyclical learning rates", 2015), in memory alone: no file is written. Policies on other targets act as
/// in a run; what looks at reports does not. It ends when the smoothed loss is more than four times its least. A config
/// Error if the target or monitor do not exist, a diverged Error if the first loss is not finite.
FindLrResult find_lr(const FindLrOptions& options);

/// Fills in what the points suggest. A fall counts that is more than a hundredth of the loss, and more than three times
/// what the noise of the losses brings.
void suggest(FindLrResult& result);

}  // namespace trainctl
