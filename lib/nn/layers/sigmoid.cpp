#include "nn/functional.h"
#include "nn/layer.h"

namespace trainctl {
namespace {

/// y = 1 / (1 + e^-x), elementwise.
struct Sigmoid final : Layer {
  static Schema<Sigmoid> schema() { return Schema<Sigmoid>("Logistic function: 1 / (1 + e^-x).").example("sigmoid"); }
  Values build(Builder& b, const Values& in) const override {
    return {nn::activation(b, only(in, "sigmoid"), Activation::Kind::sigmoid)};
  }
};

const Register<Layer, Sigmoid> registered{"sigmoid"};

}  // namespace
}  // namespace trainctl
