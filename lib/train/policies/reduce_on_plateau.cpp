#include <algorithm>

#include "base/log.h"
#include "train/policies/best_value.h"

namespace trainctl {
namespace {

/// Multiplies its target by a factor when a value has stopped improving, as PyTorch's ReduceLROnPlateau: when for more
/// than `patience` reports in a row it was not better than its best by more than atol + rtol |best|. In the `cooldown`
/// reports after that nothing is counted. After k reductions of a value v, the parameter's own or that of the policies
/// before this one:
///   max(v factor^k, min)
/// A report without the value does not count; NaN is never better.
struct ReduceOnPlateau final : Policy {
  std::string target_path;
  std::string monitored;
  Mode mode = Mode::min;
  double factor = 0.1;
  std::int64_t patience = 10;
  double rtol = 1e-4;
  double atol = 0.0;
  std::int64_t cooldown = 0;
  double min = 0.0;
  double eps = 1e-8;

  static Schema<ReduceOnPlateau> schema() {
    return Schema<ReduceOnPlateau>("Multiply a parameter by a factor when a value stops improving.")
        .required("target", &ReduceOnPlateau::target_path, non_empty(),
                  "Spec path of a live parameter. Another policy may drive it too, if it stands before this one.")
        .required("monitor", &ReduceOnPlateau::monitored, non_empty(), "Name of a reported value, such as val/loss.")
        .required("mode", &ReduceOnPlateau::mode, "Whether less (min) or more (max) is better.")
        .field("factor", &ReduceOnPlateau::factor, above(0.0), below(1.0), "Factor of each reduction.")
        .field("patience", &ReduceOnPlateau::patience, at_least(0),
               "Reports without improvement that are let pass; the next one reduces.", unit("reports"))
        .field("rtol", &ReduceOnPlateau::rtol, at_least(0.0),
               "Least change that counts as an improvement, as a share of the best value.")
        .field("atol", &ReduceOnPlateau::atol, at_least(0.0),
               "Least change that counts as an improvement, added to that of rtol.")
        .field("cooldown", &ReduceOnPlateau::cooldown, at_least(0), "Reports after a reduction that do not count.",
               unit("reports"))
        .field("min", &ReduceOnPlateau::min, at_least(0.0), "Lower bound of the value.")
        .field("eps", &ReduceOnPlateau::eps, at_least(0.0), "A reduction by no more than this is left out.")
        .example("{type: reduce_on_plateau, target: optimizer.lr, monitor: val/loss, mode: min, patience: 3}");
  }
  std::string_view target() const override { return target_path; }
  std::string_view monitor() const override { return monitored; }
  bool follows() const override { return true; }
  std::string settle(double base, const Schedule&) override {
    own_ = base;
    return min > base ? fmt::format("'min' ({}) is above the value of {} ({}); nothing could be reduced.", min,
                                    target_path, base)
                      : std::string();
  }
  double value(std::int64_t, double base, const Schedule&) const override { return reduced(base, scale_); }
  void report(const HistoryRecord& record, Requests&) override {
    const auto value = find_value(record.values, monitored);
    if (!value) return;
    watch_.offer(*value, mode, atol, rtol);
    if (cooling_ > 0) {
      --cooling_;
      watch_.waited = 0;
    }
    if (watch_.waited <= patience) return;
    const double next = scale_ * factor;
    if (reduced(own_, scale_) - reduced(own_, next) > eps) {
      log::info("{} has not improved on {} for {} reports: {} is multiplied by {}", monitored, watch_.best,
                watch_.waited, target_path, factor);
      scale_ = next;
    }
    cooling_ = cooldown;
    watch_.waited = 0;
  }
  NamedValues state() const override {
    NamedValues values = watch_.state();
    values.emplace_back("scale", scale_);
    values.emplace_back("cooling", static_cast<double>(cooling_));
    return values;
  }
  void restore(const NamedValues& state) override {
    watch_.restore(state);
    scale_ = find_value(state, "scale").value_or(1.0);
    cooling_ = static_cast<std::int64_t>(find_value(state, "cooling").value_or(0.0));
  }

 private:
  /// `min` bounds what is reduced; it never raises a value that another policy has made smaller.
  double reduced(double value, double scale) const { return std::max(value * scale, std::min(value, min)); }

  BestValue watch_;
  double scale_ = 1.0;
  std::int64_t cooling_ = 0;
  double own_ = NAN;  ///< the parameter's value in the spec
};
const Register<Policy, ReduceOnPlateau> registered{"reduce_on_plateau"};

}  // namespace
}  // namespace trainctl
