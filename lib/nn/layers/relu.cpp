#include "nn/functional.h"
#include "nn/layer.h"

namespace trainctl {
namespace {

/// y = max(x, 0), elementwise.
struct Relu final : Layer {
  static Schema<Relu> schema() { return Schema<Relu>("Rectifier: max(x, 0).").example("relu"); }
  Values build(Builder& b, const Values& in) const override {
    return {nn::activation(b, only(in, "relu"), Activation::Kind::relu)};
  }
};

const Register<Layer, Relu> registered{"relu"};

}  // namespace
}  // namespace trainctl
