#include "nn/losses/pointwise.h"

namespace trainctl {
namespace {

/// Squared near zero, absolute far from it (Huber, 1964); d = output - target.
///   loss = mean of d^2 / 2 where |d| <= delta, else delta (|d| - delta / 2)
struct HuberLoss final : Loss {
  double delta = 1.0;
  static Schema<HuberLoss> schema() {
    return Schema<HuberLoss>("Squared error for small differences, absolute for large ones.")
        .field("delta", &HuberLoss::delta, above(0.0), "Where it goes from squared to absolute.")
        .example("{type: huber, delta: 0.5}");
  }
  Value build(Builder& b, Value output, Value target) const override {
    return pointwise_loss(b, "huber", output, target, PointwiseLossAttributes::Kind::huber, delta);
  }
};

const Register<Loss, HuberLoss> registered{"huber"};

}  // namespace
}  // namespace trainctl
