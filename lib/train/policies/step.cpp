#include <cmath>

#include "train/value_policy.h"

namespace trainctl {
namespace {

/// Decay by a factor at regular intervals, as PyTorch's StepLR. At count s since the start, for an interval of e:
///   v gamma^floor(s / e)
/// The intervals count from the start, warm-up included.
struct StepDecay final : ValuePolicy {
  Progress every{1.0, Progress::Unit::epochs};
  double gamma = 0.1;

  static Schema<StepDecay> schema() {
    return Schema<StepDecay>("Multiply a parameter by a factor at regular intervals.")
        .required("every", &StepDecay::every, "Interval, counted from the start.")
        .field("gamma", &StepDecay::gamma, above(0.0), "Factor.")
        .example("{type: step, target: optimizer.lr, every: 10 epochs, gamma: 0.1}")
        .check([](const StepDecay& self, Diagnostics& diagnostics, const Node& node) {
          refuse_zero(self.every, "every", diagnostics, node);
        });
  }

 protected:
  double curve(const Moment& now, double from) const override {
    return from * std::pow(gamma, std::floor(now.elapsed / now.count(every)));
  }
};
const Register<Policy, StepDecay> registered{"step"};

}  // namespace
}  // namespace trainctl
