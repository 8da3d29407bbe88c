// What metrics of classifiers have in common: scores and targets in the form that the counting ops take.
#pragma once

#include <string_view>
#include <utility>

#include "nn/functional.h"
#include "nn/target.h"

namespace trainctl {

/// Scores (N, C, ...) with class numbers (N, ...), or one score with targets between 0 and 1 in its shape.
inline std::pair<Value, Value> scores_and_targets(Builder& b, std::string_view who, Value output, Value target) {
  if (output.shape().rank() == 1) output = nn::reshape(b, output, {output.dim(0), 1});
  if (output.dim(1) == 1) return {output, like_output(b, who, output, target)};
  expect_classes(who, output, target);
  return {output, target};
}

}  // namespace trainctl
