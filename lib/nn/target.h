// How targets fit outputs: what losses and metrics check before they apply an op.
#pragma once

#include <string_view>

#include "graph/builder.h"

namespace trainctl {

/// A config Error, in the name of `who`, unless scores are (N, C, ...) and targets class numbers (N, ...).
void expect_classes(std::string_view who, Value scores, Value target);

/// The target as f32 of the output's shape: integers are converted, and (N) and (N, 1) taken for each other. A config
/// Error, in the name of `who`, if the shapes differ otherwise.
Value like_output(Builder& builder, std::string_view who, Value output, Value target);

}  // namespace trainctl
