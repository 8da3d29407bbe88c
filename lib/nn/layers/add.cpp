#include "nn/layer.h"

namespace trainctl {
namespace {

/// y = x_1 + x_2 + ..., all of one shape.
struct Add final : Layer {
  static Schema<Add> schema() {
    return Schema<Add>("Sum of the inputs.").example("{type: add, inputs: [conv, shortcut]}");
  }
  Values build(Builder& b, const Values& in) const override {
    Value sum = in.at(0);
    for (std::size_t i = 1; i < in.size(); ++i) {
      if (in[i].shape() != sum.shape()) {
        fail(ErrorKind::config,
             "add needs inputs of one shape, got {} and {}; a 1x1 convolution changes channels, its "
             "stride the size",
             sum.shape().text(), in[i].shape().text());
      }
      sum = b.apply1("add", nullptr, {sum, in[i]});
    }
    return {sum};
  }
};

const Register<Layer, Add> registered{"add"};

}  // namespace
}  // namespace trainctl
