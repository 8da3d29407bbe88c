// Policies: what changes while training goes on, and when it stops.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "schema/schema.h"
#include "store/history.h"

namespace trainctl {

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
};

/// A policy. One file each in lib/train/policies. Policies act in the order of the spec; one that has a target gives
/// the value of that parameter for each step, as a function of the step alone; others look at each report and may ask
/// for something. State that a report changes is saved with every checkpoint.
struct Policy {
  static constexpr const char* kind = "policy";
  virtual ~Policy() = default;

  /// The spec path of the parameter that it drives ("optimizer.lr"); empty if it drives none.
  virtual std::string_view target() const { return {}; }
  /// The value for the update `step` (from 0), where the spec's own value of the target is `base`.
  virtual double value(std::int64_t step, double base, const Schedule& schedule) const;
  /// A report was made: at an epoch's end or by validation within it.
  virtual void report(const HistoryRecord& record, Requests& requests);
  /// What report() keeps, by name; read back by restore().
  virtual NamedValues state() const { return {}; }
  virtual void restore(const NamedValues& state);
  /// Name of a value that report() needs ("val/loss"), so that a missing one is found before training; empty if none.
  virtual std::string_view monitor() const { return {}; }
};

/// min or max: which direction is better. Never guessed from a name.
enum class Mode : std::uint8_t { min, max };
template <>
struct EnumNames<Mode> {
  static constexpr EnumName<Mode> names[] = {{Mode::min, "min"}, {Mode::max, "max"}};
};

/// A linear rise from zero that several schedules share: step s < w of w gives base * (s + 1) / w.
double warmed_up(std::int64_t step, std::int64_t warmup_steps, double base);

}  // namespace trainctl
