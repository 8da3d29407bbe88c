#include "train/policies/best_value.h"

namespace trainctl {
namespace {

/// Stops when a value has not become better than its best by more than min_delta + rtol |best| in `patience` reports in
/// a row. A report without the value does not count; NaN is never better.
struct EarlyStopping final : Policy {
  std::string monitored;
  Mode mode = Mode::min;
  std::int64_t patience = 5;
  double min_delta = 0.0;
  double rtol = 0.0;
  std::optional<double> baseline;
  Progress after{0.0, Progress::Unit::epochs};

  static Schema<EarlyStopping> schema() {
    return Schema<EarlyStopping>("Stop when a value has not improved for a while.")
        .required("monitor", &EarlyStopping::monitored, non_empty(), "Name of a reported value, such as val/loss.",
                  resume(Resume::forced))
        .required("mode", &EarlyStopping::mode, "Whether less (min) or more (max) is better.", resume(Resume::forced))
        .field("patience", &EarlyStopping::patience, at_least(1),
               "Reports without improvement after which training stops.", unit("reports"), resume(Resume::safe))
        .field("min_delta", &EarlyStopping::min_delta, at_least(0.0), "Least change that counts as an improvement.",
               resume(Resume::safe))
        .field("rtol", &EarlyStopping::rtol, at_least(0.0),
               "Least change that counts as an improvement, as a share of the best value; added to min_delta.",
               resume(Resume::safe))
        .field("baseline", &EarlyStopping::baseline, "Counts as the best value before the first report.")
        .field("after", &EarlyStopping::after, "Reports before this time do not count.")
        .example("{type: early_stopping, monitor: val/accuracy, mode: max, patience: 5}");
  }
  std::string_view monitor() const override { return monitored; }
  std::string settle(double, const Schedule& schedule) override {
    first_step_ = schedule.steps(after);
    if (baseline) watch_.best = *baseline;
    return {};
  }
  void report(const HistoryRecord& record, Requests& requests) override {
    const auto value = find_value(record.values, monitored);
    if (!value || record.step < first_step_) return;
    if (watch_.offer(*value, mode, min_delta, rtol) || watch_.waited < patience) return;
    requests.ask_stop(
        fmt::format("early stopping: {} has not improved on {} for {} reports", monitored, watch_.best, watch_.waited));
  }
  NamedValues state() const override { return watch_.state(); }
  void restore(const NamedValues& state) override { watch_.restore(state); }

 private:
  BestValue watch_;
  std::int64_t first_step_ = 0;
};
const Register<Policy, EarlyStopping> registered{"early_stopping"};

}  // namespace
}  // namespace trainctl
