#pragma once

#include <cstdint>

#include "kernels/cpu/dispatch.h"

namespace trainctl::cpu {

struct ElementwiseJob {
  long count;
  int threads;
  std::uint64_t stream = 0;  ///< dropout
  float exponent = 1;        ///< power
};

/// Pairs of `elements` each.
struct AverageJob {
  int threads;
  int pairs;
  float rate;
  const long* elements;
  const float* scales;
};

TRAINCTL_LOOPS(
    /// (a, b) -> a b
    void multiply(const ElementwiseJob&, const Operands&);
    /// (x, s) -> s x
    void scale(const ElementwiseJob&, const Operands&);
    /// (x) -> x^exponent where x > 0, else 0
    void power(const ElementwiseJob&, const Operands&);
    /// (x, limit) -> x within [-limit, limit]
    void clamp(const ElementwiseJob&, const Operands&);
    /// (old of each pair, new of each, rate or the job's) -> old + rate (scale new - old) of each
    void moving_average(const AverageJob&, const Operands&);
    /// (x f32) -> x in bf16, and back
    void cast_to_bf16(const ElementwiseJob&, const Operands&);
    void cast_from_bf16(const ElementwiseJob&, const Operands&);
    /// (x, p, step) -> x m / (1 - p); elements in row-major order
    void dropout(const ElementwiseJob&, const Operands&);)

}  // namespace trainctl::cpu
