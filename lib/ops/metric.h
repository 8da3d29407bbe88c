// Sums that metrics are made of.
#pragma once

#include <cstdint>
#include <string>

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

/// "accumulate": (total f64, value of its shape, f32, f64, i32 or i64) -> total + factor * value, f64.
struct AccumulateAttributes final : Attributes {
  double factor = 1.0;
  explicit AccumulateAttributes(double f) : factor(f) {}
  std::string text() const override;
};

}  // namespace trainctl
