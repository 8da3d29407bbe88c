#include <cmath>
#include <numbers>

#include "train/value_policy.h"

namespace trainctl {
namespace {

/// Cosine annealing with warm restarts, SGDR (Loshchilov & Hutter, 2017). Cycle i (from 0) is T m^i long; at share p of
/// it, from start v:
///   final + (v d^i - final) (1 + cos(pi p)) / 2
struct CosineRestarts final : ValuePolicy {
  Progress period{10.0, Progress::Unit::epochs};
  std::int64_t period_multiplier = 1;
  double decay = 1.0;
  double final_value = 0.0;

  static Schema<CosineRestarts> schema() {
    return Schema<CosineRestarts>("Lower a parameter along half a cosine, again and again (SGDR).")
        .required("period", &CosineRestarts::period, "T: length of the first cycle.")
        .field("period_multiplier", &CosineRestarts::period_multiplier, at_least(1),
               "m: how many times longer each cycle is than the one before.")
        .field("decay", &CosineRestarts::decay, above(0.0), "d: factor of the height from cycle to cycle.")
        .field("final", &CosineRestarts::final_value, "Value at the end of each cycle.")
        .example("{type: cosine_restarts, target: optimizer.lr, period: 10 epochs, period_multiplier: 2}")
        .check([](const CosineRestarts& self, Diagnostics& diagnostics, const Node& node) {
          refuse_zero(self.period, "period", diagnostics, node);
        });
  }

 protected:
  double curve(const Moment& now, double from) const override {
    double length = now.count(period), at = now.at, cycle = 0.0;
    // A cycle that ends with the schedule is not followed by another one.
    const auto over = [&] { return at > length || (at == length && now.at < now.length); };
    if (period_multiplier == 1 && over()) {
      cycle = std::floor(at / length);
      at -= cycle * length;
      if (at == 0.0 && now.at >= now.length) at = length, --cycle;
    }
    while (over()) {
      at -= length;
      length *= static_cast<double>(period_multiplier);
      ++cycle;
    }
    const double top = from * std::pow(decay, cycle);
    return final_value + (top - final_value) * 0.5 * (1.0 + std::cos(std::numbers::pi * at / length));
  }
};
const Register<Policy, CosineRestarts> registered{"cosine_restarts"};

}  // namespace
}  // namespace trainctl
