#include <cmath>

#include "train/policy.h"

namespace trainctl {
namespace {

enum class Compared : std::uint8_t { lowest, first };

}  // namespace
template <>
struct EnumNames<Compared> {
  static constexpr EnumName<Compared> names[] = {{Compared::lowest, "lowest"}, {Compared::first, "first"}};
};
namespace {

/// Stops when a value is below or above a bound, has exploded to more than `ratio` times its lowest or first one, or is
/// not finite, in `patience` reports in a row. The first report has nothing to be compared with, and a ratio means
/// nothing to a value that is not positive: neither stops. A report without the value does not count.
struct StopWhen final : Policy {
  std::string monitored;
  std::optional<double> below;
  std::optional<double> above;
  std::optional<double> ratio;
  Compared of = Compared::lowest;
  bool not_finite = false;
  std::int64_t patience = 1;
  Progress after{0.0, Progress::Unit::epochs};

  static Schema<StopWhen> schema() {
    return Schema<StopWhen>("Stop when a value is below or above a bound, explodes, or is not finite.")
        .required("monitor", &StopWhen::monitored, non_empty(), "Name of a reported value, such as train/loss.")
        .field("below", &StopWhen::below, trainctl::resume(Resume::safe), "Stop when the value is below this.")
        .field("above", &StopWhen::above, trainctl::resume(Resume::safe), "Stop when the value is above this.")
        .field("ratio", &StopWhen::ratio, trainctl::above(1.0), trainctl::resume(Resume::safe),
               "Stop when the value is more than so many times the one it is compared with.")
        .field("of", &StopWhen::of, "What `ratio` compares with: the lowest value so far, or the first.")
        .field("not_finite", &StopWhen::not_finite, trainctl::resume(Resume::safe),
               "Stop when the value is NaN or infinite. The training loss need not be watched: it always ends the run.")
        .field("patience", &StopWhen::patience, at_least(1), unit("reports"), trainctl::resume(Resume::safe),
               "Reports in a row in which it must be so.")
        .field("after", &StopWhen::after, "Reports before this time do not count.")
        .example("{type: stop_when, monitor: train/loss, below: 1e-5}")
        .example("{type: stop_when, monitor: train/loss, ratio: 3}");
  }
  void check(Diagnostics& diagnostics, const Node& node) const {
    if (!below && !above && !ratio && !not_finite)
      diagnostics.error(node, "nothing to stop at: give 'below', 'above', 'ratio' or 'not_finite'.");
    if (below && above && *above < *below)
      diagnostics.error(node, fmt::format("every value is above {} or below {}; swap them.", *above, *below));
  }
  std::string_view monitor() const override { return monitored; }
  std::string settle(double, const Schedule& schedule) override {
    first_step_ = schedule.steps(after);
    return {};
  }
  void report(const HistoryRecord& record, Requests& requests) override {
    const auto value = find_value(record.values, monitored);
    if (!value || record.step < first_step_) return;
    const std::string why = fault(*value);
    const bool replaces = std::isnan(compared_) || (of == Compared::lowest && *value < compared_);
    if (replaces && std::isfinite(*value)) compared_ = *value;
    in_a_row_ = why.empty() ? 0 : in_a_row_ + 1;
    if (in_a_row_ >= patience) requests.ask_stop(fmt::format("stop_when: {} is {}", monitored, why));
  }
  NamedValues state() const override { return {{"compared", compared_}, {"in_a_row", static_cast<double>(in_a_row_)}}; }
  void restore(const NamedValues& state) override {
    compared_ = find_value(state, "compared").value_or(NAN);
    in_a_row_ = static_cast<std::int64_t>(find_value(state, "in_a_row").value_or(0.0));
  }

 private:
  /// What is wrong with a value, empty if nothing is.
  std::string fault(double value) const {
    if (not_finite && !std::isfinite(value)) return fmt::format("{}, not finite", value);
    if (below && value < *below) return fmt::format("{}, below {}", value, *below);
    if (above && value > *above) return fmt::format("{}, above {}", value, *above);
    if (ratio && compared_ > 0.0 && value > *ratio * compared_)
      return fmt::format("{}, more than {} times its {} value {}", value, *ratio,
                         of == Compared::lowest ? "lowest" : "first", compared_);
    return {};
  }

  double compared_ = NAN;
  std::int64_t in_a_row_ = 0;
  std::int64_t first_step_ = 0;
};
const Register<Policy, StopWhen> registered{"stop_when"};

}  // namespace
}  // namespace trainctl
