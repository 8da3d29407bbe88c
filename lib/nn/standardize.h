// Fields with mean 0 and deviation 1, and the way back to their own unit.
#pragma once

#include <vector>

#include "graph/builder.h"
#include "schema/schema.h"

namespace trainctl {

/// Means and standard deviations of a field: one of each for all numbers, one for each entry of a sample's first axis
/// (a column, a channel), or one for each element of a sample.
struct Moments {
  std::vector<double> mean;
  std::vector<double> std;
  static Schema<Moments> schema();
  void check(Diagnostics& diagnostics, const Node& node) const;
};

/// y = (x - mean) / std as f32, for x (N, ...) of any type. A config Error, in the name of `field`, if the moments are
/// of other samples.
Value standardize(Builder& builder, std::string_view field, Value x, const Moments& moments);
/// x = y std + mean: what standardize() was given.
Value unstandardize(Builder& builder, std::string_view field, Value y, const Moments& moments);

}  // namespace trainctl
