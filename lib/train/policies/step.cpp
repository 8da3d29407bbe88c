#include <cmath>

#include "train/policy.h"

namespace trainctl {
namespace {

/// Decay by a factor at regular intervals, as PyTorch's StepLR, after a linear warm-up. With w warm-up steps, an
/// interval of e steps and base value v:
///   value(s) = v (s + 1) / w            for s < w
///   value(s) = v gamma^floor(s / e)     afterwards (the intervals count from the start)
struct StepDecay final : Policy {
  std::string target_path;
  Progress every{1.0, Progress::Unit::epochs};
  double gamma = 0.1;
  Progress warmup{0.0, Progress::Unit::epochs};

  static Schema<StepDecay> schema() {
    return Schema<StepDecay>("Multiply a parameter by a factor at regular intervals.")
        .required("target", &StepDecay::target_path, non_empty(), "Spec path of a live parameter.")
        .required("every", &StepDecay::every, "Interval.", resume(Resume::forced))
        .field("gamma", &StepDecay::gamma, above(0.0), "Factor.", resume(Resume::forced))
        .field("warmup", &StepDecay::warmup, "Length of a linear rise from zero.", resume(Resume::forced))
        .example("{type: step, target: optimizer.lr, every: 10 epochs, gamma: 0.1}");
  }
  std::string_view target() const override { return target_path; }
  double value(std::int64_t step, double base, const Schedule& schedule) const override {
    const std::int64_t rise = schedule.steps(warmup);
    if (step < rise) return warmed_up(step, rise, base);
    return base * std::pow(gamma, static_cast<double>(step / schedule.steps(every)));
  }
};
const Register<Policy, StepDecay> registered{"step"};

}  // namespace
}  // namespace trainctl
