#include "nn/losses/pointwise.h"

namespace trainctl {
namespace {

/// loss = mean of (output - target)^2 over all elements. Integer targets are converted; (N) and (N, 1) are taken for
/// each other.
struct Mse final : Loss {
  static Schema<Mse> schema() { return Schema<Mse>("Mean squared error.").example("mse"); }
  Value build(Builder& b, Value output, Value target) const override {
    return pointwise_loss(b, "mse", output, target, PointwiseLossAttributes::Kind::squared);
  }
};

const Register<Loss, Mse> registered{"mse"};

}  // namespace
}  // namespace trainctl
