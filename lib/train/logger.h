// Loggers: where the values of a run go beside its own files, for other programs to show.
#pragma once

#include <cstdint>
#include <vector>

#include "program/state_store.h"
#include "schema/schema.h"
#include "store/history.h"
#include "store/run_directory.h"
#include "store/steps_log.h"
#include "train/policy.h"

namespace trainctl {

/// A logger. One file each in lib/train/loggers. It is told of everything once and in order; after a resume it has
/// taken back what came after the checkpoint and is told of what it lacks, so that it never has a gap or a repetition.
/// A failure is for the logger to keep and to warn of: training goes on.
struct Logger {
  static constexpr const char* kind = "logger";
  virtual ~Logger() = default;

  /// How far something goes: the steps of its last line of steps.jsonl and of its last report; -1 if it has none.
  struct Reach {
    std::int64_t line = -1;
    std::int64_t report = -1;
  };
  /// A run begins or goes on. Takes back what is there of this run beyond `to`, and returns what is left.
  virtual Reach open(const RunPaths& paths, const Reach& to) = 0;
  /// A line for steps.jsonl was made.
  virtual void line(const StepRecord& record) = 0;
  virtual void report(const HistoryRecord& record) = 0;
  /// A report is due at `step`, the one before was at `last`: weights and gradients may be read. `accumulated`: the
  /// last update was made of several batches.
  virtual void measure(const StateStore& store, const Schedule& schedule, std::int64_t step, std::int64_t last,
                       bool accumulated);
  /// Tries again what failed before; at checkpoints and at the end.
  virtual void flush() {}
};

/// Opens loggers at `step` of a run, whose last report is history's, and tells them what they lack of history and
/// steps.jsonl.
void open_loggers(const Named<Logger>& loggers, const RunPaths& paths, std::int64_t step, const History& history);

}  // namespace trainctl
