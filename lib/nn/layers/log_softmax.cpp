#include "ops/softmax.h"

#include "nn/functional.h"
#include "nn/layer.h"

namespace trainctl {
namespace {

/// y = x - log(sum of e^x) along `dim`: what the loss nll takes.
struct LogSoftmax final : Layer {
  std::int64_t dim = 1;

  static Schema<LogSoftmax> schema() {
    return Schema<LogSoftmax>("Logarithms of probabilities along one axis.")
        .field("dim", &LogSoftmax::dim, at_least(-1), "The axis of the classes; -1 is the last.")
        .example("log_softmax");
  }
  Values build(Builder& b, const Values& in) const override {
    const Value x = only(in, "log_softmax");
    const std::int64_t axis = dim < 0 ? x.shape().rank() - 1 : dim;
    if (axis < 1 || axis >= x.shape().rank())
      fail(ErrorKind::config, "log_softmax over axis {} needs (N, C, ...), got {}", dim, x.shape().text());
    return {b.apply1("log_softmax", nn::attributes(SoftmaxAttributes(static_cast<int>(axis))), {x})};
  }
};

const Register<Layer, LogSoftmax> registered{"log_softmax"};

}  // namespace
}  // namespace trainctl
