#include "nn/functional.h"
#include "nn/layer.h"

namespace trainctl {
namespace {

/// y = tanh(x), elementwise.
struct Tanh final : Layer {
  static Schema<Tanh> schema() { return Schema<Tanh>("Hyperbolic tangent.").example("tanh"); }
  Values build(Builder& b, const Values& in) const override {
    return {nn::activation(b, only(in, "tanh"), Activation::Kind::tanh)};
  }
};

const Register<Layer, Tanh> registered{"tanh"};

}  // namespace
}  // namespace trainctl
