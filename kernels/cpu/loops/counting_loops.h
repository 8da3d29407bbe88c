#pragma once

#include "kernels/cpu/dispatch.h"

namespace trainctl::cpu {

/// Rows of `classes` scores and their targets: i64, i32, or for one score f32.
struct CountingJob {
  enum class Label : int { i64, i32, yes_no };
  long outer, classes, inner;
  Label label;
  float threshold;
  long bins;
  float limit;  ///< of log-odds
  int threads;
};

TRAINCTL_LOOPS(
    /// (scores, target) -> (3, K) i64; the workspace holds 3 K longs a thread
    void class_counts(const CountingJob&, const Operands&);
    /// (scores, target) -> (2, C, bins) i64; the workspace holds a float a score
    void score_histogram(const CountingJob&, const Operands&);)

}  // namespace trainctl::cpu
