#include "train/value_policy.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace trainctl {
namespace {

/// The value when `done` counts in (0, length] of a warm-up to `full` are done.
double warmed_up(Warmup type, double factor, double done, double length, double full) {
  const double low = factor * full;
  switch (type) {
    case Warmup::constant:
      return low;
    case Warmup::cosine:
      return low + (full - low) * 0.5 * (1.0 - std::cos(std::numbers::pi * done / length));
    case Warmup::linear:
      break;
  }
  return low + (full - low) * done / length;
}

std::string order_advice(const Progress& before, const Progress& after) {
  return fmt::format("{} does not come after {}; times must increase.", to_text(after), to_text(before));
}

}  // namespace

double ValuePolicy::value(std::int64_t step, double base, const Schedule& schedule) const {
  const std::int64_t unit = interval == Interval::epoch ? schedule.steps_per_epoch : 1;
  const std::int64_t rise = schedule.steps(warmup);
  const std::int64_t end = std::max(over ? schedule.steps(*over) : schedule.total_steps, rise);
  const auto counts = [unit](std::int64_t steps) { return static_cast<double>(steps) / static_cast<double>(unit); };
  const double from = start.value_or(base);
  const std::int64_t now = step / unit * unit;
  if (now < rise) {
    return warmed_up(warmup_type, warmup_factor, std::min(counts(now) + 1.0, counts(rise)), counts(rise), first(from));
  }
  const std::int64_t elapsed = std::min(now, end);
  return curve({.elapsed = counts(elapsed),
                .at = counts(elapsed - rise),
                .length = counts(end - rise),
                .unit = static_cast<double>(unit),
                .schedule = &schedule},
               from);
}

std::string ValuePolicy::settle(double, const Schedule& schedule) {
  if (!over || schedule.steps(*over) > schedule.steps(warmup)) return {};
  return warmup.count == 0.0 ? std::string("'over' must be more than nothing.")
                             : fmt::format("'over' ({}) must be more than the warm-up ({}), which is a part of it.",
                                           to_text(*over), to_text(warmup));
}

void ValuePolicy::check(Diagnostics& diagnostics, const Node& node) const {
  if (target_path.empty())
    diagnostics.error(node, "'target' is missing: spec path of a live parameter, such as optimizer.lr.");
  if (warmup.count > 0.0 && warmup_type == Warmup::constant && warmup_factor == 0.0)
    diagnostics.error(node, "a constant warm-up stays at 'warmup_factor' times the first value: give one above 0.");
}

void check_increasing(const std::vector<Progress>& times, const std::vector<Source>& places, Diagnostics& diagnostics) {
  for (std::size_t i = 1; i < times.size(); ++i) {
    if (times[i].unit != times[i - 1].unit || times[i].count > times[i - 1].count) continue;
    return diagnostics.error(places[i], order_advice(times[i - 1], times[i]));
  }
}

std::string not_increasing(const std::vector<Progress>& times, const Schedule& schedule) {
  for (std::size_t i = 1; i < times.size(); ++i) {
    if (schedule.steps(times[i]) <= schedule.steps(times[i - 1])) return order_advice(times[i - 1], times[i]);
  }
  return {};
}

void refuse_zero(const Progress& duration, std::string_view key, Diagnostics& diagnostics, const Node& node) {
  if (duration.count > 0.0) return;
  const Node* written = node.find(key);
  const Diagnostics::Scope scope(diagnostics, key);
  diagnostics.error(written ? *written : node, "must be more than nothing, such as '1 epoch'.");
}

}  // namespace trainctl
