#include <cmath>

#include "train/policy.h"

namespace trainctl {
namespace {

/// Stops when a value has not become better than its best by more than min_delta in `patience` reports in a row. A
/// report without the value does not count; NaN is never better.
struct EarlyStopping final : Policy {
  std::string monitored;
  Mode mode = Mode::min;
  std::int64_t patience = 5;
  double min_delta = 0.0;

  static Schema<EarlyStopping> schema() {
    return Schema<EarlyStopping>("Stop when a value has not improved for a while.")
        .required("monitor", &EarlyStopping::monitored, non_empty(), "Name of a reported value, such as val/loss.",
                  resume(Resume::forced))
        .required("mode", &EarlyStopping::mode, "Whether less (min) or more (max) is better.", resume(Resume::forced))
        .field("patience", &EarlyStopping::patience, at_least(1),
               "Reports without improvement after which training stops.", unit("reports"), resume(Resume::safe))
        .field("min_delta", &EarlyStopping::min_delta, at_least(0.0), "Least change that counts as an improvement.",
               resume(Resume::safe))
        .example("{type: early_stopping, monitor: val/accuracy, mode: max, patience: 5}");
  }
  std::string_view monitor() const override { return monitored; }
  void report(const HistoryRecord& record, Requests& requests) override {
    const auto value = find_value(record.values, monitored);
    if (!value) return;
    const double gain = mode == Mode::min ? best_ - *value : *value - best_;
    if (std::isnan(best_) ? !std::isnan(*value) : gain > min_delta) {
      best_ = *value;
      waited_ = 0;
      return;
    }
    if (++waited_ >= patience) {
      requests.stop = true;
      requests.stop_reason =
          fmt::format("early stopping: {} has not improved on {} for {} reports", monitored, best_, waited_);
    }
  }
  NamedValues state() const override { return {{"best", best_}, {"waited", static_cast<double>(waited_)}}; }
  void restore(const NamedValues& state) override {
    best_ = find_value(state, "best").value_or(NAN);
    waited_ = static_cast<std::int64_t>(find_value(state, "waited").value_or(0.0));
  }

 private:
  double best_ = NAN;
  std::int64_t waited_ = 0;
};
const Register<Policy, EarlyStopping> registered{"early_stopping"};

}  // namespace
}  // namespace trainctl
