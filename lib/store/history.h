// What a run measured, epoch by epoch: in memory, as history.json and inside every checkpoint.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace trainctl {

/// Named values in the order in which they were reported.
using NamedValues = std::vector<std::pair<std::string, double>>;

/// The value of a name, if there is one.
std::optional<double> find_value(const NamedValues& values, std::string_view name);

/// The values of one report: at an epoch's end, or at a validation within it.
struct HistoryRecord {
  std::int64_t epoch = 0;    ///< from 1: the epoch that ended, or runs
  std::int64_t step = 0;     ///< updates done since the start
  std::int64_t samples = 0;  ///< samples trained on since the start
  NamedValues values;        ///< "train/loss", "val/accuracy", "lr"
  NamedValues seconds;       ///< wall time by phase; the only part in which a resumed run may differ
};

/// The record in which the monitored value was best.
struct HistoryBest {
  std::string monitor;  ///< "val/accuracy"
  std::string mode;     ///< "min" or "max"
  double value = 0;
  std::int64_t epoch = 0;
  std::int64_t step = 0;
};

/// NaN and infinities are written as the strings "NaN", "Infinity", "-Infinity", which JSON lacks as numbers; every
/// finite double survives writing and reading unchanged.
struct History {
  std::vector<HistoryRecord> records;  ///< "epochs" in the file; ordered by step
  std::optional<HistoryBest> best;
  std::string status = "running";  ///< running, finished, interrupted, diverged, failed
  std::string stop_reason;         ///< why it ended, in words

  /// Drops what lies after (epoch, step), finds the best of what remains, and is running again.
  void cut_back(std::int64_t epoch, std::int64_t step);

  std::string to_json() const;
  /// Throws a data Error that starts with `source` if the text is damaged or of a newer version.
  static History from_json(std::string_view text, std::string_view source);

  /// Replaces the file atomically.
  void write(const std::filesystem::path& path) const;
  static History read(const std::filesystem::path& path);
};

}  // namespace trainctl
