#include "nn/functional.h"
#include "nn/layer.h"
#include "ops/along.h"

namespace trainctl {
namespace {

/// y = x if x > 0, else weight x, with slopes that are learned (He et al., 2015).
/// Shapes: x, y (N, C, ...); weight (C), or (1) for all channels together.
struct Prelu final : Layer {
  std::int64_t num_parameters = 1;
  double init = 0.25;

  static Schema<Prelu> schema() {
    return Schema<Prelu>("Rectifier with learned slopes below zero.")
        .field("num_parameters", &Prelu::num_parameters, at_least(1), "1, or as many as there are channels.")
        .field("init", &Prelu::init, "What the slopes start from.")
        .example("{type: prelu, num_parameters: 32}");
  }
  Values build(Builder& b, const Values& in) const override {
    const Value x = only(in, "prelu");
    if (x.shape().rank() < 2) fail(ErrorKind::config, "prelu needs (N, C, ...), got {}", x.shape().text());
    const Shape channels{x.dim(1)};
    if (num_parameters != 1 && num_parameters != channels[0])
      fail(ErrorKind::config, "num_parameters is {}, and the input has {} channels; give 1 or {}", num_parameters,
           channels[0], channels[0]);
    Value slope = b.parameter("weight", {num_parameters}, Init::constant(init));
    if (num_parameters != channels[0])
      slope = b.apply1("scale_along", nn::attributes(AlongAttributes(channels, 0, 0)), {nn::reshape(b, slope, {})});
    const Value positive = nn::activation(b, x, Activation::Kind::relu);
    const Value minus = b.apply1("scale", nullptr, {positive, b.graph().constant(-1.0)});
    const Value negative = b.apply1("add", nullptr, {x, minus});
    const Value zeros = b.graph().constant({DType::f32, channels}, {0.0});
    const Value scaled = b.apply1("channel_affine", nullptr, {negative, slope, zeros});
    return {b.apply1("add", nullptr, {positive, scaled})};
  }
};

const Register<Layer, Prelu> registered{"prelu"};

}  // namespace
}  // namespace trainctl
