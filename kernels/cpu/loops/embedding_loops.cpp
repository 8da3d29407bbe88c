#include "kernels/cpu/loops/embedding_loops.h"

#include "kernels/cpu/loops/simd.h"

namespace trainctl::cpu::TRAINCTL_ISA {

template <typename Index>
static void take_rows(const EmbeddingJob& job, const Operands& operands) {
  const Index* index = operands.in<Index>(0);
  const float* table = operands.in<float>(1);
  float* y = operands.out<float>(0);
  const long width = job.width;
  parallel_parts(job.threads, job.places, 1, 16384 / (width + 1), [=](long begin, long end) {
    for (long i = begin; i < end; ++i) {
      const long row = index[i];
      if (row >= 0 && row < job.rows) {
        __builtin_memcpy(y + i * width, table + row * width, width * sizeof(float));
      } else {
        for (long k = 0; k < width; ++k) y[i * width + k] = __builtin_nanf("");
      }
    }
  });
}

/// Threads share the columns, so that each row is summed in order.
template <typename Index>
static void add_rows(const EmbeddingJob& job, const Operands& operands) {
  const Index* index = operands.in<Index>(0);
  const float* dy = operands.in<float>(1);
  float* table = operands.out<float>(0);
  const long width = job.width;
  parallel_parts(job.threads, width, 16, 16384 / (job.places + job.rows + 1), [=](long begin, long end) {
    for (long row = 0; row < job.rows; ++row)
      __builtin_memset(table + row * width + begin, 0, (end - begin) * sizeof(float));
    for (long i = 0; i < job.places; ++i) {
      const long row = index[i];
      if (row < 0 || row >= job.rows) continue;
      float* to = table + row * width;
      const float* from = dy + i * width;
#pragma omp simd
      for (long k = begin; k < end; ++k) to[k] += from[k];
    }
  });
}

void embedding(const EmbeddingJob& job, const Operands& operands) {
  job.wide_index ? take_rows<std::int64_t>(job, operands) : take_rows<std::int32_t>(job, operands);
}

void embedding_backward(const EmbeddingJob& job, const Operands& operands) {
  job.wide_index ? add_rows<std::int64_t>(job, operands) : add_rows<std::int32_t>(job, operands);
}

}  // namespace trainctl::cpu::TRAINCTL_ISA
