#include "kernels/cpu/onednn/column_sum_loops.h"

#include "kernels/cpu/loops/simd.h"

namespace trainctl::cpu::TRAINCTL_ISA {
namespace {

constexpr long width = 64;  // columns that are summed in registers

template <long columns>
TRAINCTL_INLINE void sum_strip(const float* x, long rows, long stride, float* sums) {
  float total[columns] = {};
  for (long i = 0; i < rows; ++i) {
#pragma omp simd
    for (long j = 0; j < columns; ++j) total[j] += x[i * stride + j];
  }
  for (long j = 0; j < columns; ++j) sums[j] = total[j];
}

}  // namespace

void column_sum(const ColumnSumJob& job, const float* x, float* sums) {
  const long alone = job.rows * job.columns <= 32768 ? job.columns : 0;
  parallel_parts(job.threads, job.columns, 16, alone, [=](long begin, long end) {
    long j = begin;
    for (; j + width <= end; j += width) sum_strip<width>(x + j, job.rows, job.columns, sums + j);
    for (; j + 16 <= end; j += 16) sum_strip<16>(x + j, job.rows, job.columns, sums + j);
    for (; j + 4 <= end; j += 4) sum_strip<4>(x + j, job.rows, job.columns, sums + j);
    for (; j < end; ++j) sum_strip<1>(x + j, job.rows, job.columns, sums + j);
  });
}

}  // namespace trainctl::cpu::TRAINCTL_ISA
