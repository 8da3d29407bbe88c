// Policies: what changes while training goes on, and when it stops.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "schema/schema.h"
#include "store/history.h"

namespace trainctl {

class StateSpec;
class StateStore;

/// How long training is, for turning durations into steps. Steps are optimizer updates.
struct Schedule {
  std::int64_t steps_per_epoch = 1;
  std::int64_t samples_per_epoch = 1;
  std::int64_t batch_samples = 1;  ///< samples of a full update
  std::int64_t total_steps = 1;    ///< by trainer.max

  /// A duration in steps, rounded to the nearest and at least 1 if it is not zero.
  std::int64_t steps(const Progress& duration) const;
};

/// What policies ask of the trainer, which alone acts.
struct Requests {
  bool stop = false;
  std::string stop_reason;
  /// Training is to end after this report. The first reason given stays.
  void ask_stop(std::string reason);
};

/// What a report has come to, for policies that act outside of training. Its history and, where one was due, its
/// checkpoint are written.
struct Event {
  std::string_view policy;  ///< the name in the spec of the policy that is told
  const HistoryRecord& record;
  std::filesystem::path run;  ///< the run's directory
  bool epoch = false;         ///< an epoch has ended
  bool best = false;          ///< the best report so far, by checkpoint.keep.best
  bool end = false;           ///< training has ended, for good
};

/// A policy. One file each in lib/train/policies. Policies act in the order of the spec, and each sees what those
/// before it have done. One that has a target gives the value of that parameter for each step; what looks at reports
/// may keep state and ask for something. The value follows from the step and that state alone, and the state is saved
/// with every checkpoint, so that a resumed run has the same values.
struct Policy {
  static constexpr const char* kind = "policy";
  virtual ~Policy() = default;

  /// The spec path of the parameter that it drives ("optimizer.lr"); empty if it drives none.
  virtual std::string_view target() const { return {}; }
  /// The value for the update `step` (from 0). `base` is the spec's own value of the target, or what the policies
  /// before this one make of it.
  virtual double value(std::int64_t step, double base, const Schedule& schedule) const;
  /// Whether it changes the value that other policies give, so that it may stand after them on the same target.
  virtual bool follows() const { return false; }
  /// Called before anything runs, when the target's own value (NaN without a target) and the length of training are
  /// known; again if graphs are built anew. Returns what does not fit them, as advice; empty if all does.
  virtual std::string settle(double base, const Schedule& schedule);
  /// A report was made: at an epoch's end or by validation within it.
  virtual void report(const HistoryRecord& record, Requests& requests);
  /// What report() keeps, by name; read back by restore().
  virtual NamedValues state() const { return {}; }
  virtual void restore(const NamedValues& state);
  /// Names of the values that it adds to each report. Called when the parameters are known; again if graphs are built
  /// anew, and then what was kept of the call before is void.
  virtual std::vector<std::string> adds(const StateSpec& state);
  /// Updates have come to where a report is due; validation comes next. Reads from the state what added() will give,
  /// and keeps it as part of state(). `accumulated`: the last update was made of several batches.
  virtual void measure(const StateStore& store, bool accumulated);
  /// Values of the names that adds() gave, in that order.
  virtual std::vector<double> added() const { return {}; }
  /// A report is done with. Told again of the last one when a run goes on, since what an event is to bring about may
  /// not have been done when the run was ended.
  virtual void happened(const Event& event, Requests& requests);
  /// Whether it waits for the best report, which takes a `checkpoint.keep.best`.
  virtual bool needs_best() const { return false; }
  /// Name of a value that report() needs ("val/loss"), so that a missing one is found before training; empty if none.
  virtual std::string_view monitor() const { return {}; }
};

/// min or max: which direction is better. Never guessed from a name.
enum class Mode : std::uint8_t { min, max };
template <>
struct EnumNames<Mode> {
  static constexpr EnumName<Mode> names[] = {{Mode::min, "min"}, {Mode::max, "max"}};
};

}  // namespace trainctl
