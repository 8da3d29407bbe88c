#include "ops/linear.h"

#include "nn/functional.h"
#include "nn/init.h"
#include "nn/layer.h"

namespace trainctl {
namespace {

/// An affine map of the last axis.
///   y = x w^T + b
/// Shapes: x (..., K), y (..., N); weight (N, K), bias (N); N = out_features, K from the input.
struct Linear final : Layer {
  std::int64_t out_features = 1;
  bool bias = true;
  Component<Initializer> weight_init{"default"};
  Component<Initializer> bias_init{"default"};

  static Schema<Linear> schema() {
    return Schema<Linear>("Affine map of the last axis: y = x w^T + b.")
        .required("out_features", &Linear::out_features, at_least(1), "Size of the output's last axis.")
        .field("bias", &Linear::bias, "Whether to add b.")
        .field("weight_init", &Linear::weight_init, "What the weights start from.")
        .field("bias_init", &Linear::bias_init, "What the bias starts from.")
        .example("{type: linear, out_features: 10}");
  }
  Values build(Builder& b, const Values& in) const override {
    const Value x = only(in, "linear");
    if (x.shape().rank() < 2) fail(ErrorKind::config, "linear needs (batch, ..., features), got {}", x.shape().text());
    const Shape shape{out_features, x.dim(-1)};
    const Fans fans = Fans::of(shape);
    const Value w = b.parameter("weight", shape, weight_init->init(fans));
    const Value beta = bias ? b.parameter("bias", {out_features}, bias_init->init(fans)) : Value();
    LinearAttributes attributes;
    attributes.bias = bias;
    return {b.apply1("linear", nn::attributes(attributes), {x, w, beta})};
  }
};

const Register<Layer, Linear> registered{"linear"};

}  // namespace
}  // namespace trainctl
