// Sums that metrics are made of.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "device/attributes.h"

namespace trainctl {

/// "count_correct": (scores (N, C, ...), target (N, ...) i64 or i32) -> i64 scalar: how many targets are among the k
/// best classes of their row. Class a ranks before
///   class b if its score is greater, or equal and a < b. A row with a NaN counts as wrong.
struct CountCorrectAttributes final : Attributes {
  std::int64_t k = 1;
  explicit CountCorrectAttributes(std::int64_t top) : k(top) {}
  std::string text() const override { return "k=" + std::to_string(k); }
};

/// "absolute_error_sum": (prediction, target, both f32) -> f64 scalar: sum of |p - t| over all elements, in a fixed
/// order.

/// "accumulate": (total_1, ..., total_n, all f64, value_1, ..., value_n, of their shapes, f32, f64, i32 or i64)
///   -> total_k + factor_k * value_k, f64, for each k.
struct AccumulateAttributes final : Attributes {
  std::vector<double> factors;
  explicit AccumulateAttributes(double factor) : factors{factor} {}
  std::size_t count() const { return factors.size(); }
  std::string text() const override;
};

}  // namespace trainctl
