// Cross-validation: a run for each fold, and what they reached together.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "experiment/run.h"

namespace trainctl {

/// A reported value over the folds.
struct FoldStatistic {
  std::string name;            ///< "val/accuracy"
  std::vector<double> values;  ///< by fold
  double mean = 0.0;
  double deviation = 0.0;  ///< of a sample: divided by folds - 1
};

struct FoldsResult {
  struct Run {
    RunResult result;
    HistoryRecord last;
    std::optional<HistoryRecord> best;  ///< the record of checkpoint.keep.best
  };
  std::int64_t folds = 0;
  std::vector<Run> runs;             ///< by fold; fewer than `folds` where one was interrupted, the last one then
  std::vector<FoldStatistic> final;  ///< of the last reports; empty unless all folds are finished
  std::vector<FoldStatistic> best;   ///< of the best reports, if the experiment says what is best
  std::filesystem::path summary;     ///< the file that holds all this; empty unless all folds are finished

  bool finished() const { return !summary.empty(); }
  int exit_code() const { return finished() ? 0 : static_cast<int>(ErrorKind::interrupted); }
  /// format trainctl-folds, version 1.
  std::string to_json() const;
  /// A row for each fold, their mean and deviation.
  std::string table() const;
};

/// Mean and deviation by name, of the names that all records have.
std::vector<FoldStatistic> fold_statistics(const std::vector<HistoryRecord>& records);

/// Trains with one fold after another, each in a run of its own, <name>-fold<i> or <output>/fold<i>, and summarises
/// them in <name>-folds.json beside the runs, or <output>/folds.json. With resume_auto, folds that are done are not
/// repeated. A usage Error if the subsets have no folds or differ in their number.
FoldsResult train_folds(const TrainOptions& options, Observer& observer);

}  // namespace trainctl
