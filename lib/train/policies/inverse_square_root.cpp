#include <cmath>

#include "train/value_policy.h"

namespace trainctl {
namespace {

/// Decay with the square root of time (Vaswani et al., 2017). At count n after the warm-up, with time scale t:
///   v / sqrt(1 + n / t)
struct InverseSquareRoot final : ValuePolicy {
  std::optional<Progress> timescale;

  static Schema<InverseSquareRoot> schema() {
    return Schema<InverseSquareRoot>("Lower a parameter with the inverse square root of time.")
        .field("timescale", &InverseSquareRoot::timescale,
               "t: when 3 t have gone by after the warm-up, the value is half; by default the warm-up's length.")
        .example("{type: inverse_square_root, target: optimizer.lr, warmup: 4000 steps}")
        .check([](const InverseSquareRoot& self, Diagnostics& diagnostics, const Node& node) {
          if (self.timescale)
            refuse_zero(*self.timescale, "timescale", diagnostics, node);
          else if (self.warmup.count == 0.0)
            diagnostics.error(node, "give a 'warmup', whose length is the time scale, or 'timescale' itself.");
        });
  }

 protected:
  double curve(const Moment& now, double from) const override {
    return from / std::sqrt(1.0 + now.at / now.count(timescale.value_or(warmup)));
  }
};
const Register<Policy, InverseSquareRoot> registered{"inverse_square_root"};

}  // namespace
}  // namespace trainctl
