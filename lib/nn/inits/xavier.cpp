#include <cmath>

#include "nn/init.h"

namespace trainctl {
namespace {

/// Between the variances of activations and gradients (Glorot & Bengio, 2010): gain * sqrt(2 / (fan_in + fan_out)).
struct Xavier : Initializer {
  double gain = 1.0;

  template <typename T>
  static Schema<T> fields(const char* doc) {
    return Schema<T>(doc).field("gain", &Xavier::gain, above(0.0), "Factor for the activation that follows.");
  }
  double deviation(const Fans& fans) const { return gain * std::sqrt(2.0 / (fans.in + fans.out)); }
};

struct XavierUniform final : Xavier {
  static Schema<XavierUniform> schema() {
    return fields<XavierUniform>("Glorot's uniform distribution: +-gain * sqrt(6 / (fan_in + fan_out)).")
        .example("{type: linear, out_features: 10, weight_init: xavier_uniform}");
  }
  Init init(const Fans& fans) const override {
    const double bound = std::sqrt(3.0) * deviation(fans);
    return Init::uniform(-bound, bound);
  }
};

struct XavierNormal final : Xavier {
  static Schema<XavierNormal> schema() {
    return fields<XavierNormal>("Glorot's normal distribution: standard deviation gain * sqrt(2 / (fan_in + fan_out)).")
        .example("{type: linear, out_features: 10, weight_init: {type: xavier_normal, gain: 1.6667}}");
  }
  Init init(const Fans& fans) const override { return Init::normal(0.0, deviation(fans)); }
};

const Register<Initializer, XavierUniform> uniform{"xavier_uniform"};
const Register<Initializer, XavierNormal> normal{"xavier_normal"};

}  // namespace
}  // namespace trainctl
