#include <algorithm>
#include <cmath>
#include <numbers>

#include "train/value_policy.h"

namespace trainctl {
namespace {

enum class Anneal : std::uint8_t { cos, linear };

}  // namespace
template <>
struct EnumNames<Anneal> {
  static constexpr EnumName<Anneal> names[] = {{Anneal::cos, "cos"}, {Anneal::linear, "linear"}};
};
namespace {

/// One cycle (Smith & Topin, 2018), as PyTorch's OneCycleLR. Of T counts, with the initial value max / div_factor and
/// the last one initial / final_div_factor: from the initial value at count 0 to max at pct_start T - 1, then to the
/// last value at T - 1; in three phases back to the initial value at 2 pct_start T - 2 before that.
struct OneCycle final : ValuePolicy {
  double pct_start = 0.3;
  Anneal anneal_strategy = Anneal::cos;
  double div_factor = 25.0;
  double final_div_factor = 1e4;
  bool three_phase = false;

  static constexpr const char* start_name = "max";
  static constexpr const char* start_doc = "The value at the top; by default the parameter's own.";
  static Schema<OneCycle> schema() {
    return Schema<OneCycle>(
               "Raise a parameter to its top and lower it again, once; with a div_factor below 1 the other way round, "
               "as "
               "for momentum.")
        .field("pct_start", &OneCycle::pct_start, above(0.0), below(1.0), "Share of the counts that rise.")
        .field("anneal_strategy", &OneCycle::anneal_strategy, "Shape of rise and fall.")
        .field("div_factor", &OneCycle::div_factor, above(0.0), "How many times the initial value fits into max.")
        .field("final_div_factor", &OneCycle::final_div_factor, above(0.0),
               "How many times the last value fits into the initial one.")
        .field("three_phase", &OneCycle::three_phase,
               "Whether it falls to the initial value as fast as it rose, and then to the last one.")
        .example("{type: one_cycle, target: optimizer.lr, max: 0.1, pct_start: 0.2}")
        .check([](const OneCycle& self, Diagnostics& diagnostics, const Node& node) {
          if (self.three_phase && self.pct_start >= 0.5)
            diagnostics.error(node,
                              "with three phases 'pct_start' must be below 0.5, since rise and fall are as long.");
        });
  }

 protected:
  double first(double max) const override { return max / div_factor; }
  double curve(const Moment& now, double max) const override {
    const double initial = first(max), last = initial / final_div_factor;
    const double top = pct_start * now.length - 1.0, foot = 2.0 * pct_start * now.length - 2.0;
    if (now.at <= top) return between(initial, max, 0.0, top, now.at);
    if (!three_phase) return between(max, last, top, now.length - 1.0, now.at);
    if (now.at <= foot) return between(max, initial, top, foot, now.at);
    return between(initial, last, foot, now.length - 1.0, now.at);
  }

 private:
  double between(double from, double to, double begin, double end, double at) const {
    const double share = end > begin ? std::clamp((at - begin) / (end - begin), 0.0, 1.0) : 1.0;
    if (anneal_strategy == Anneal::linear) return from + (to - from) * share;
    return to + (from - to) * 0.5 * (1.0 + std::cos(std::numbers::pi * share));
  }
};
const Register<Policy, OneCycle> registered{"one_cycle"};

}  // namespace
}  // namespace trainctl
