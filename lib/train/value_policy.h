// Schedules: values of a parameter that follow from the progress of training alone.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "train/policy.h"

namespace trainctl {

/// How the value comes to the schedule's start.
enum class Warmup : std::uint8_t { linear, constant, cosine };
template <>
struct EnumNames<Warmup> {
  static constexpr EnumName<Warmup> names[] = {
      {Warmup::linear, "linear"}, {Warmup::constant, "constant"}, {Warmup::cosine, "cosine"}};
};

/// How often the value changes.
enum class Interval : std::uint8_t { step, epoch };
template <>
struct EnumNames<Interval> {
  static constexpr EnumName<Interval> names[] = {{Interval::step, "step"}, {Interval::epoch, "epoch"}};
};

/// A moment of a schedule. All is counted in steps, or in epochs where the schedule's `interval` is epoch.
struct Moment {
  double elapsed = 0.0;  ///< since the schedule began, warm-up included; at most what it lasts
  double at = 0.0;       ///< since the warm-up ended
  double length = 0.0;   ///< from the warm-up's end to the schedule's end
  double unit = 1.0;     ///< steps in one of what is counted
  const Schedule* schedule = nullptr;

  /// A duration in what is counted.
  double count(const Progress& duration) const { return static_cast<double>(schedule->steps(duration)) / unit; }
  /// Share of the way from the warm-up's end to the schedule's end, in [0, 1].
  double progress() const { return length > 0.0 ? at / length : 1.0; }
};

/// A policy whose value is a function of progress: a preset gives the curve, and all presets share the rest. With v the
/// curve's first value, f = warmup_factor and a warm-up of w counts, the value at count s < w is
///   linear:   f v + (1 - f) v (s + 1) / w
///   cosine:   f v + (1 - f) v (1 - cos(pi (s + 1) / w)) / 2
///   constant: f v
/// and the curve's from there on. A count is a step; with `interval: epoch` it is an epoch, during which the value
/// stays. After `over`, or the end of training, the value stays what it is there.
struct ValuePolicy : Policy {
  std::string target_path;
  std::optional<double> start;
  std::optional<Progress> over;
  Progress warmup{0.0, Progress::Unit::epochs};
  Warmup warmup_type = Warmup::linear;
  double warmup_factor = 0.0;
  Interval interval = Interval::step;

  /// What a preset calls `start`, and what it says of it.
  static constexpr const char* start_name = "start";
  static constexpr const char* start_doc = "The value that it starts from; by default the parameter's own.";
  template <typename T>
  static void common(Schema<T>& schema);
  void check(Diagnostics& diagnostics, const Node& node) const;

  std::string_view target() const final { return target_path; }
  double value(std::int64_t step, double base, const Schedule& schedule) const final;
  std::string settle(double base, const Schedule& schedule) override;

 protected:
  /// The value at a moment after the warm-up. `start` is the user's, or the parameter's own value.
  virtual double curve(const Moment& now, double start) const = 0;
  /// The curve's first value, to which the warm-up leads.
  virtual double first(double start) const { return start; }
};

/// For times in a list or table: notes an error at the place of the first that does not come after the one before it,
/// as far as that can be known without knowing how long an epoch is; and the same, as advice, when that is known.
void check_increasing(const std::vector<Progress>& times, const std::vector<Source>& places, Diagnostics& diagnostics);
std::string not_increasing(const std::vector<Progress>& times, const Schedule& schedule);

/// Notes an error if a duration under `key` is zero.
void refuse_zero(const Progress& duration, std::string_view key, Diagnostics& diagnostics, const Node& node);

template <typename T>
void ValuePolicy::common(Schema<T>& schema) {
  schema.field(T::start_name, &ValuePolicy::start, T::start_doc)
      .field("target", &ValuePolicy::target_path,
             "Spec path of a live parameter. It must be given, but within a sequence, whose own holds for all.")
      .field("over", &ValuePolicy::over,
             "How long it lasts, warm-up included; then the value stays. By default until trainer.max.")
      .field("warmup", &ValuePolicy::warmup, "Length of a rise to the first value.")
      .field("warmup_type", &ValuePolicy::warmup_type,
             "Shape of the rise; constant stays at warmup_factor until its end.")
      .field("warmup_factor", &ValuePolicy::warmup_factor, at_least(0.0), at_most(1.0),
             "Share of the first value at which the rise begins.")
      .field("interval", &ValuePolicy::interval, "Whether the value changes with every step or stays for an epoch.");
}

}  // namespace trainctl
