// What losses between two tensors of one shape have in common.
#pragma once

#include "nn/functional.h"
#include "nn/loss.h"
#include "nn/target.h"
#include "ops/loss.h"

namespace trainctl {

/// The mean over all elements; `who` is the loss's name in errors.
inline Value pointwise_loss(Builder& builder, std::string_view who, Value output, Value target,
                            const PointwiseLossAttributes& attributes) {
  const Value fitting = like_output(builder, who, output, target);
  return builder.apply1("pointwise_loss", nn::attributes(attributes), {output, fitting});
}

inline Value pointwise_loss(Builder& builder, std::string_view who, Value output, Value target,
                            PointwiseLossAttributes::Kind kind, double delta = 1.0) {
  PointwiseLossAttributes attributes;
  attributes.kind = kind;
  attributes.delta = delta;
  return pointwise_loss(builder, who, output, target, attributes);
}

}  // namespace trainctl
