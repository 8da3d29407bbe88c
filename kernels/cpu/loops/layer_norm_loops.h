#pragma once

#include "kernels/cpu/dispatch.h"

namespace trainctl::cpu {

/// `rows` vectors of `extent` numbers.
struct LayerNormJob {
  long rows, extent;
  double eps;
  int threads;
};

TRAINCTL_LOOPS(
    /// Operands as in ops/norm.h.
    void layer_norm(const LayerNormJob&, const Operands&);
    /// The workspace holds 2 * extent floats a thread.
    void layer_norm_backward(const LayerNormJob&, const Operands&);)

}  // namespace trainctl::cpu
