#pragma once

#include "kernels/cpu/dispatch.h"
#include "kernels/cpu/loops/rows_job.h"

namespace trainctl::cpu {

struct SoftmaxJob {
  Rows rows;
  bool logarithm;
  int threads;
};

TRAINCTL_LOOPS(
    /// (x) -> y
    void softmax(const SoftmaxJob&, const Operands&);
    /// (dy, y) -> dx
    void softmax_backward(const SoftmaxJob&, const Operands&);)

}  // namespace trainctl::cpu
