// Weights of classes, as cross_entropy and nll take them.
#pragma once

#include <optional>
#include <vector>

#include "nn/loss.h"

namespace trainctl {

/// The weights as a vector (C), C = axis 1 of the scores; null without weights. A config Error if there are not C.
inline Value class_weights_of(Builder& builder, const std::optional<std::vector<double>>& weights, Value scores) {
  if (!weights) return {};
  const std::int64_t classes = scores.dim(1);
  if (static_cast<std::int64_t>(weights->size()) != classes) {
    fail(ErrorKind::config, "there are {} class_weights and {} classes in outputs {}", weights->size(), classes,
         scores.shape().text());
  }
  return builder.graph().constant({DType::f32, {classes}}, *weights);
}

/// How many class numbers a loss is the mean over. A config Error with weights, whose sum differs from batch to batch.
inline std::int64_t unweighted_terms(const std::optional<std::vector<double>>& weights, const Value& target) {
  if (weights) {
    fail(ErrorKind::config,
         "class_weights need reduction mean: the weights of a batch's classes add up to another number each time");
  }
  return target.shape().elements();
}

}  // namespace trainctl
