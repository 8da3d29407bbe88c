#include "nn/functional.h"
#include "nn/layer.h"

namespace trainctl {
namespace {

/// y = x if x > 0, else negative_slope x, elementwise (Maas, Hannun & Ng, 2013).
struct LeakyRelu final : Layer {
  double negative_slope = 0.01;

  static Schema<LeakyRelu> schema() {
    return Schema<LeakyRelu>("Rectifier with a slope below zero.")
        .field("negative_slope", &LeakyRelu::negative_slope, at_least(0.0), "Slope below zero.")
        .example("{type: leaky_relu, negative_slope: 0.1}");
  }
  Values build(Builder& b, const Values& in) const override {
    return {nn::activation(b, only(in, "leaky_relu"), Activation::Kind::leaky_relu, negative_slope)};
  }
};

const Register<Layer, LeakyRelu> registered{"leaky_relu"};

}  // namespace
}  // namespace trainctl
