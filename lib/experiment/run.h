// Starting, continuing and finding runs.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "experiment/experiment.h"
#include "train/trainer.h"

namespace trainctl {

struct RunResult {
  std::filesystem::path directory;  ///< empty after a dry run
  Outcome outcome;
  bool was_finished = false;  ///< there was nothing to do
  /// 0 if finished, 85 if interrupted with its state saved.
  int exit_code() const { return outcome.finished ? 0 : static_cast<int>(ErrorKind::interrupted); }
};

struct TrainOptions {
  std::filesystem::path config;
  Overrides overrides;
  std::optional<std::filesystem::path> output;  ///< the run directory itself
  std::string device;                           ///< empty: as the config says
  bool resume_auto =
      false;  ///< continue the newest run of this project and name that agrees in everything fixed, if it is unfinished
  std::optional<std::int64_t> fold;  ///< the fold of every subset that has folds
  std::string name_suffix;           ///< added to the experiment's name
  bool dry_run = false;              ///< one training and one validation batch; writes nothing
  std::vector<std::string> argv;
};
/// Starts (or with resume_auto, continues) a run.
RunResult train(const TrainOptions& options, Observer& observer);

struct ResumeOptions {
  std::filesystem::path run;
  Overrides overrides;
  std::optional<Progress> more;  ///< added to trainer.max
  bool force = false;            ///< take changes that may change results
  std::string device;
  std::vector<std::string> argv;
};
/// Continues a run exactly where it stopped.
RunResult resume(const ResumeOptions& options, Observer& observer);

}  // namespace trainctl
