#include "nn/layers/pooling.h"

namespace trainctl {
namespace {

/// y = the maximum of each window. Padding never wins.
struct MaxPool2d final : Pool2d {
  static Schema<MaxPool2d> schema() {
    return fields<MaxPool2d>("Maximum of each window.").example("{type: max_pool2d, kernel_size: 2}");
  }
  Values build(Builder& b, const Values& in) const override {
    return {b.apply("max_pool2d", nn::attributes(attributes()), {only(in, "max_pool2d")})[0]};
  }
};

const Register<Layer, MaxPool2d> registered{"max_pool2d"};

}  // namespace
}  // namespace trainctl
