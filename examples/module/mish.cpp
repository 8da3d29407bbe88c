#include "device/module.h"
#include "nn/functional.h"
#include "nn/layer.h"

namespace {

using namespace trainctl;

/// y = x tanh(log(1 + e^x)), elementwise (Misra, 2020).
struct Mish final : Layer {
  static Schema<Mish> schema() { return Schema<Mish>("Smooth rectifier that dips below zero.").example("mish"); }
  Values build(Builder& b, const Values& in) const override {
    const Value x = only(in, "mish");
    const Value gate = nn::activation(b, nn::activation(b, x, Activation::Kind::softplus, 1.0), Activation::Kind::tanh);
    return {b.apply1("multiply", nullptr, {x, gate})};
  }
};
const Register<Layer, Mish> registered{"mish"};

}  // namespace

TRAINCTL_MODULE("mine")
