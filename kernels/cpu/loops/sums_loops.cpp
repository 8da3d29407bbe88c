#include "kernels/cpu/loops/sums_loops.h"

#include "kernels/cpu/loops/simd.h"

namespace trainctl::cpu::TRAINCTL_ISA {

/// Sum of term(i) for i in [begin, end) by sixteen running sums.
template <typename Term>
TRAINCTL_INLINE double block_sum(long begin, long end, const Term& term) {
  double sums[16] = {};
  long i = begin;
  for (; i + 16 <= end; i += 16) {
#pragma omp simd
    for (int j = 0; j < 16; ++j) sums[j] += term(i + j);
  }
  for (int j = 0; i < end; ++i, ++j) sums[j] += term(i);
  double total = 0;
  for (int j = 0; j < 16; ++j) total += sums[j];
  return total;
}

template <typename Body>
TRAINCTL_INLINE double sum_of_blocks(const SumJob& job, const Operands& operands, const Body& body) {
  double* partial = static_cast<double*>(operands.workspace);
  parallel_parts(job.threads, job.block_count, 1, 8, [=](long begin, long end) {
    for (long b = begin; b < end; ++b) partial[b] = body(job.blocks[b]);
  });
  double total = 0;
  for (long b = 0; b < job.block_count; ++b) total += partial[b];
  return total;
}

void global_norm(const SumJob& job, const Operands& operands) {
  const double total = sum_of_blocks(job, operands, [=](const SumBlock& block) {
    const float* x = operands.in<float>(block.input);
    return block_sum(block.begin, block.end, [=](long i) { return static_cast<double>(x[i]) * x[i]; });
  });
  *operands.out<float>(0) = static_cast<float>(__builtin_sqrt(total));
}

void absolute_error_sum(const SumJob& job, const Operands& operands) {
  const float* p = operands.in<float>(0);
  const float* t = operands.in<float>(1);
  *operands.out<double>(0) = sum_of_blocks(job, operands, [=](const SumBlock& block) {
    return block_sum(block.begin, block.end, [=](long i) { return __builtin_fabs(static_cast<double>(p[i]) - t[i]); });
  });
}

template <typename Label>
static long correct_rows(const CountJob& job, const float* scores, const Label* target, long begin, long end) {
  long correct = 0;
  for (long row = begin; row < end; ++row) {
    const float* s = scores + row / job.inner * job.classes * job.inner + row % job.inner;
    const long label = target[row];
    if (label < 0 || label >= job.classes) continue;
    const float own = s[label * job.inner];
    int better = 0, unordered = 0;
    for (long c = 0; c < job.classes; ++c) {
      const float other = s[c * job.inner];
      better += (other > own) | ((other == own) & (c < label));
      unordered += other != other;
    }
    correct += unordered == 0 && better < job.k;
  }
  return correct;
}

void count_correct(const CountJob& job, const Operands& operands) {
  const float* scores = operands.in<float>(0);
  const long rows = job.outer * job.inner;
  const int threads = rows * job.classes > 65536 ? job.threads : 1;
  long* partial = static_cast<long*>(operands.workspace);
  parallel_parts(threads, threads, 1, 1, [=](long first, long last) {
    for (long thread = first; thread < last; ++thread) {
      const Range range = part(rows, 16, static_cast<int>(thread), threads);
      partial[thread] = job.wide_labels
                            ? correct_rows(job, scores, operands.in<std::int64_t>(1), range.begin, range.end)
                            : correct_rows(job, scores, operands.in<std::int32_t>(1), range.begin, range.end);
    }
  });
  long total = 0;
  for (int thread = 0; thread < threads; ++thread) total += partial[thread];
  *operands.out<std::int64_t>(0) = total;
}

}  // namespace trainctl::cpu::TRAINCTL_ISA
