#include "nn/functional.h"
#include "nn/layer.h"

namespace trainctl {
namespace {

/// y = log(1 + e^(beta x)) / beta, elementwise: a smooth relu (Dugas et al., 2001). It does not overflow for large x,
/// so it has no threshold.
struct Softplus final : Layer {
  double beta = 1.0;

  static Schema<Softplus> schema() {
    return Schema<Softplus>("Smooth rectifier, above zero everywhere.")
        .field("beta", &Softplus::beta, above(0.0), "How sharp its bend is.")
        .example("{type: softplus, beta: 2}");
  }
  Values build(Builder& b, const Values& in) const override {
    return {nn::activation(b, only(in, "softplus"), Activation::Kind::softplus, beta)};
  }
};

const Register<Layer, Softplus> registered{"softplus"};

}  // namespace
}  // namespace trainctl
