#include "kernels/cpu/loops/along_loops.h"

#include "kernels/cpu/loops/simd.h"

namespace trainctl::cpu::TRAINCTL_ISA {

constexpr long columns_together = 64;

/// Sums of columns [begin, end) of (rows, columns) matrices; at most columns_together of them.
static void sum_columns(const float* a, const float* b, long rows, long columns, long begin, long end, float* y) {
  double sums[columns_together] = {};
  const long count = end - begin;
  for (long row = 0; row < rows; ++row) {
    const float* first = a + row * columns + begin;
    const float* second = b ? b + row * columns + begin : nullptr;
    if (second) {
#pragma omp simd
      for (long k = 0; k < count; ++k) sums[k] += static_cast<double>(first[k]) * second[k];
    } else {
#pragma omp simd
      for (long k = 0; k < count; ++k) sums[k] += first[k];
    }
  }
  for (long k = 0; k < count; ++k) y[begin + k] = static_cast<float>(sums[k]);
}

static float sum_slice(const AlongJob& job, const float* a, const float* b, long k) {
  double sum = 0;
  for (long o = 0; o < job.outer; ++o) {
    const long from = (o * job.kept + k) * job.inner;
    if (b) {
#pragma omp simd reduction(+ : sum)
      for (long i = from; i < from + job.inner; ++i) sum += static_cast<double>(a[i]) * b[i];
    } else {
#pragma omp simd reduction(+ : sum)
      for (long i = from; i < from + job.inner; ++i) sum += a[i];
    }
  }
  return static_cast<float>(sum);
}

void dot_along(const AlongJob& job, const Operands& operands) {
  const float* a = operands.in<float>(0);
  const float* b = operands.in<float>(1);
  float* y = operands.out<float>(0);
  const long alone = 16384 / (job.outer * job.inner + 1);
  if (job.inner == 1) {
    parallel_parts(job.threads, job.kept, columns_together, alone, [=](long begin, long end) {
      for (long k = begin; k < end; k += columns_together)
        sum_columns(a, b, job.outer, job.kept, k, k + columns_together < end ? k + columns_together : end, y);
    });
    return;
  }
  parallel_parts(job.threads, job.kept, 1, alone, [=](long begin, long end) {
    for (long k = begin; k < end; ++k) y[k] = sum_slice(job, a, b, k);
  });
}

void scale_along(const AlongJob& job, const Operands& operands) {
  const float* s = operands.in<float>(0);
  const float* x = operands.in<float>(1);
  float* y = operands.out<float>(0);
  const bool columns = job.inner == 1;
  const long rows = columns ? job.outer : job.outer * job.kept, width = columns ? job.kept : job.inner;
  parallel_parts(job.threads, rows, 1, 16384 / (width + 1), [=](long begin, long end) {
    for (long row = begin; row < end; ++row) {
      const float* from = x ? x + row * width : nullptr;
      float* to = y + row * width;
      const float factor = s[columns ? 0 : row % job.kept];
      if (columns && from) {
#pragma omp simd
        for (long i = 0; i < width; ++i) to[i] = s[i] * from[i];
      } else if (columns) {
        for (long i = 0; i < width; ++i) to[i] = s[i];
      } else if (from) {
#pragma omp simd
        for (long i = 0; i < width; ++i) to[i] = factor * from[i];
      } else {
        for (long i = 0; i < width; ++i) to[i] = factor;
      }
    }
  });
}

template <typename Label>
static void one_hot_of(const OneHotJob& job, const Operands& operands) {
  const Label* index = operands.in<Label>(0);
  float* y = operands.out<float>(0);
  const long slice = job.classes * job.inner;
  parallel_parts(job.threads, job.outer, 1, 16384 / (slice + 1), [=](long begin, long end) {
    __builtin_memset(y + begin * slice, 0, (end - begin) * slice * sizeof(float));
    for (long o = begin; o < end; ++o) {
      for (long i = 0; i < job.inner; ++i) {
        const long c = index[o * job.inner + i];
        float* to = y + o * slice + i;
        if (c >= 0 && c < job.classes) {
          to[c * job.inner] = 1.0f;
        } else {
          for (long k = 0; k < job.classes; ++k) to[k * job.inner] = __builtin_nanf("");
        }
      }
    }
  });
}

void one_hot(const OneHotJob& job, const Operands& operands) {
  job.wide_labels ? one_hot_of<std::int64_t>(job, operands) : one_hot_of<std::int32_t>(job, operands);
}

}  // namespace trainctl::cpu::TRAINCTL_ISA
