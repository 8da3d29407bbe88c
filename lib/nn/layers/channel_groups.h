// What group_norm and instance_norm have in common.
#pragma once

#include "nn/functional.h"
#include "nn/layer.h"
#include "ops/norm.h"

namespace trainctl {

/// Normalisation of each sample's channels in groups.
struct ChannelGroupsNorm : Layer {
  double eps = 1e-5;
  bool affine = false;

 protected:
  /// x (N, C, ...) with `groups` of C / groups neighbouring channels each normalised together, then a scale "weight"
  /// and a shift "bias" for each channel. A config Error where a group has one element.
  Value normalize(Builder& b, Value x, std::int64_t groups) const {
    const Shape shape = x.shape();
    const std::int64_t extent = shape.slice(1).elements() / groups;
    if (extent < 2)
      fail(ErrorKind::config, "each group of {} has one element, so no variance; take fewer groups", shape.text());
    LayerNormAttributes attributes;
    attributes.eps = eps;
    attributes.affine = false;
    const Value rows = nn::reshape(b, x, {shape[0], groups, extent});
    const Value y = nn::reshape(b, b.apply("layer_norm", nn::attributes(attributes), {rows, {}, {}})[0], shape);
    if (!affine) return y;
    const Shape channels{shape[1]};
    const Value gamma = b.parameter("weight", channels, Init::constant(1.0));
    const Value beta = b.parameter("bias", channels, Init::zeros());
    return b.apply1("channel_affine", nullptr, {y, gamma, beta});
  }
};

}  // namespace trainctl
