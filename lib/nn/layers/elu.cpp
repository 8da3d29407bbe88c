#include "nn/functional.h"
#include "nn/layer.h"

namespace trainctl {
namespace {

/// y = x if x > 0, else alpha (e^x - 1), elementwise (Clevert, Unterthiner & Hochreiter, 2016).
struct Elu final : Layer {
  double alpha = 1.0;

  static Schema<Elu> schema() {
    return Schema<Elu>("Exponential linear unit.")
        .field("alpha", &Elu::alpha, above(0.0), "The value that it approaches for very negative x, sign apart.")
        .example("{type: elu, alpha: 0.5}");
  }
  Values build(Builder& b, const Values& in) const override {
    return {nn::activation(b, only(in, "elu"), Activation::Kind::elu, alpha)};
  }
};

const Register<Layer, Elu> registered{"elu"};

}  // namespace
}  // namespace trainctl
