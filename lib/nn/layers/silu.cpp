#include "nn/functional.h"
#include "nn/layer.h"

namespace trainctl {
namespace {

/// y = x / (1 + e^-x) (Elfwing, Uchibe & Doya, 2018), elementwise.
struct Silu final : Layer {
  static Schema<Silu> schema() { return Schema<Silu>("Sigmoid-weighted input: x * sigmoid(x).").example("silu"); }
  Values build(Builder& b, const Values& in) const override {
    return {nn::activation(b, only(in, "silu"), Activation::Kind::silu)};
  }
};

const Register<Layer, Silu> registered{"silu"};

}  // namespace
}  // namespace trainctl
