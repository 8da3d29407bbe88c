#include "nn/losses/pointwise.h"

namespace trainctl {
namespace {

/// loss = mean of |output - target| over all elements. Integer targets are converted; (N) and (N, 1) are taken for each
/// other.
struct Mae final : Loss {
  static Schema<Mae> schema() { return Schema<Mae>("Mean absolute error (PyTorch's L1Loss).").example("mae"); }
  Value build(Builder& b, Value output, Value target) const override {
    return pointwise_loss(b, "mae", output, target, PointwiseLossAttributes::Kind::absolute);
  }
};

const Register<Loss, Mae> registered{"mae"};

}  // namespace
}  // namespace trainctl
