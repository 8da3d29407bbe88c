#include <cmath>
#include <numbers>

#include "train/value_policy.h"

namespace trainctl {
namespace {

/// Cosine annealing (Loshchilov & Hutter, 2017). At share p of the way from start v:
///   final + (v - final) (1 + cos(pi p)) / 2
struct Cosine final : ValuePolicy {
  double final_value = 0.0;

  static Schema<Cosine> schema() {
    return Schema<Cosine>("Bring a parameter to its last value along half a cosine.")
        .field("final", &Cosine::final_value, "Value at the end.")
        .example("{type: cosine, target: optimizer.lr, warmup: 1 epoch, final: 0}");
  }

 protected:
  double curve(const Moment& now, double from) const override {
    return final_value + (from - final_value) * 0.5 * (1.0 + std::cos(std::numbers::pi * now.progress()));
  }
};
const Register<Policy, Cosine> registered{"cosine"};

}  // namespace
}  // namespace trainctl
