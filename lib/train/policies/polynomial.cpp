#include <cmath>

#include "train/value_policy.h"

namespace trainctl {
namespace {

/// Polynomial decay. At share p of the way from start v:
///   end + (v - end) (1 - p)^power
struct Polynomial final : ValuePolicy {
  double end = 0.0;
  double power = 1.0;

  static Schema<Polynomial> schema() {
    return Schema<Polynomial>("Bring a parameter to its last value along a power of the way that is left.")
        .field("end", &Polynomial::end, "Value at the end.")
        .field("power", &Polynomial::power, above(0.0), "The power; 1 is a straight line.")
        .example("{type: polynomial, target: optimizer.lr, power: 0.9}");
  }

 protected:
  double curve(const Moment& now, double from) const override {
    return end + (from - end) * std::pow(1.0 - now.progress(), power);
  }
};
const Register<Policy, Polynomial> registered{"polynomial"};

}  // namespace
}  // namespace trainctl
