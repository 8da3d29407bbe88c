#include <cmath>

#include "train/value_policy.h"

namespace {

using namespace trainctl;

/// Decay along a hyperbolic tangent, p from 0 to 1 (Hsueh, Li & Wu, 2019):
///   v (1 - tanh(lower + (upper - lower) p)) / 2
struct TanhDecay final : ValuePolicy {
  double lower = -6.0;
  double upper = 3.0;

  static Schema<TanhDecay> schema() {
    return Schema<TanhDecay>("Lower a parameter along a hyperbolic tangent.")
        .field("lower", &TanhDecay::lower, "Where on the tangent it begins.")
        .field("upper", &TanhDecay::upper, "Where it ends.")
        .example("{type: tanh_decay, target: optimizer.lr, upper: 4}");
  }

 protected:
  double curve(const Moment& now, double from) const override {
    return from * (1.0 - std::tanh(lower + (upper - lower) * now.progress())) / 2.0;
  }
};
const Register<Policy, TanhDecay> registered{"tanh_decay"};

}  // namespace
