#include "ops/softmax.h"

#include "nn/functional.h"
#include "nn/layer.h"

namespace trainctl {
namespace {

/// y = e^x / sum of e^x along `dim`: probabilities from logits. Losses that take logits do not want it before them.
struct Softmax final : Layer {
  std::int64_t dim = 1;

  static Schema<Softmax> schema() {
    return Schema<Softmax>("Probabilities along one axis.")
        .field("dim", &Softmax::dim, at_least(-1), "The axis of the classes; -1 is the last.")
        .example("softmax");
  }
  Values build(Builder& b, const Values& in) const override {
    const Value x = only(in, "softmax");
    const std::int64_t axis = dim < 0 ? x.shape().rank() - 1 : dim;
    if (axis < 1 || axis >= x.shape().rank())
      fail(ErrorKind::config, "softmax over axis {} needs (N, C, ...), got {}", dim, x.shape().text());
    return {b.apply1("softmax", nn::attributes(SoftmaxAttributes(static_cast<int>(axis))), {x})};
  }
};

const Register<Layer, Softmax> registered{"softmax"};

}  // namespace
}  // namespace trainctl
