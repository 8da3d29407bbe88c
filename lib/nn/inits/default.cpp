#include <cmath>

#include "nn/init.h"

namespace trainctl {
namespace {

/// PyTorch's own start of linear and convolution layers, weights and biases alike: U(-b, b), b = 1 / sqrt(fan_in).
/// For weights it equals kaiming_uniform with a = sqrt(5).
struct DefaultInit final : Initializer {
  static Schema<DefaultInit> schema() {
    return Schema<DefaultInit>("PyTorch's default: uniform in +-1 / sqrt(fan_in), for weights and biases.")
        .example("{type: linear, out_features: 10, weight_init: default}");
  }
  Init init(const Fans& fans) const override {
    const double bound = 1.0 / std::sqrt(fans.in);
    return Init::uniform(-bound, bound);
  }
};

const Register<Initializer, DefaultInit> registered{"default"};

}  // namespace
}  // namespace trainctl
