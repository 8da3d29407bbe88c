#include <algorithm>

#include "nn/functional.h"
#include "nn/layer.h"
#include "ops/norm.h"

namespace trainctl {
namespace {

/// Normalisation of the last axes together (Ba, Kiros & Hinton, 2016).
///   y = weight (x - mean) / sqrt(var + eps) + bias, mean and var (biased) over the normalised axes
/// Shapes: x, y (N, ..., S); weight, bias (S), S = normalized_shape or the last `axes` extents of x.
struct LayerNorm final : Layer {
  std::optional<std::vector<std::int64_t>> normalized_shape;
  std::int64_t axes = 1;
  double eps = 1e-5;
  bool elementwise_affine = true;
  bool bias = true;

  static Schema<LayerNorm> schema() {
    return Schema<LayerNorm>("Give each sample's last axes mean 0 and variance 1, then scale and shift them.")
        .field("normalized_shape", &LayerNorm::normalized_shape, at_least(1), non_empty(),
               "Extents of the normalised axes, checked against the input; by default what `axes` says.")
        .field("axes", &LayerNorm::axes, at_least(1), "How many of the last axes are normalised together.")
        .field("eps", &LayerNorm::eps, above(0.0), "Added to the variance before the root.")
        .field("elementwise_affine", &LayerNorm::elementwise_affine, "Whether to learn a scale for each element.")
        .field("bias", &LayerNorm::bias, "With elementwise_affine: whether to learn a shift too.")
        .example("{type: layer_norm, axes: 3}");
  }

  Values build(Builder& b, const Values& in) const override {
    const Value x = only(in, "layer_norm");
    const int count = static_cast<int>(normalized_shape ? static_cast<std::int64_t>(normalized_shape->size()) : axes);
    if (x.shape().rank() <= count)
      fail(ErrorKind::config, "layer_norm of the last {} axes needs an input of more, got {}", count, x.shape().text());
    const Shape shape = x.shape().slice(x.shape().rank() - count);
    if (normalized_shape && !std::ranges::equal(*normalized_shape, shape.dims())) {
      fail(ErrorKind::config, "normalized_shape {} is not the input's {}; leave it out, or mend the layer before",
           Shape(std::span<const std::int64_t>(*normalized_shape)).text(), shape.text());
    }
    const bool shifted = elementwise_affine && bias;
    const Value gamma = elementwise_affine ? b.parameter("weight", shape, Init::constant(1.0)) : Value();
    const Value beta = shifted ? b.parameter("bias", shape, Init::zeros()) : Value();
    LayerNormAttributes attributes;
    attributes.axes = count;
    attributes.eps = eps;
    attributes.affine = elementwise_affine;
    return {b.apply("layer_norm", nn::attributes(attributes), {x, gamma, beta})[0]};
  }
};

const Register<Layer, LayerNorm> registered{"layer_norm"};

}  // namespace
}  // namespace trainctl
