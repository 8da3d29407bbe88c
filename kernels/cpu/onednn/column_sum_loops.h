#pragma once

#include "kernels/cpu/dispatch.h"

namespace trainctl::cpu {

struct ColumnSumJob {
  long rows, columns;
  int threads;
};

TRAINCTL_LOOPS(
    /// sums[j] = sum over i of x[i, j], in the order of the rows whatever the number of threads.
    void column_sum(const ColumnSumJob& job, const float* x, float* sums);)

}  // namespace trainctl::cpu
