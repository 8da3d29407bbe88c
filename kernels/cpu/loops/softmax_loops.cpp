#include "kernels/cpu/loops/softmax_loops.h"

#include "kernels/cpu/loops/rows.h"

namespace trainctl::cpu::TRAINCTL_ISA {

// Sixteen rows in a tile, in place.
template <bool logarithm>
TRAINCTL_INLINE void softmax_tile(Tile& x, long extent) {
  float top[16], sum[16] = {};
  for (int j = 0; j < 16; ++j) top[j] = x[0][j];
  for (long c = 1; c < extent; ++c) {
#pragma omp simd
    for (int j = 0; j < 16; ++j) top[j] = x[c][j] > top[j] ? x[c][j] : top[j];
  }
  for (long c = 0; c < extent; ++c) {
#pragma omp simd
    for (int j = 0; j < 16; ++j) {
      const float e = exponential(x[c][j] - top[j]);
      sum[j] += e;
      x[c][j] = logarithm ? x[c][j] - top[j] : e;
    }
  }
  if constexpr (logarithm) {
    float log_sum[16];
    for (int j = 0; j < 16; ++j) log_sum[j] = __builtin_logf(sum[j]);
    for (long c = 0; c < extent; ++c) {
#pragma omp simd
      for (int j = 0; j < 16; ++j) x[c][j] -= log_sum[j];
    }
    return;
  }
  for (long c = 0; c < extent; ++c) {
#pragma omp simd
    for (int j = 0; j < 16; ++j) x[c][j] /= sum[j];
  }
}

template <bool logarithm>
TRAINCTL_INLINE void softmax_row(const float* x, float* y, long extent, long stride) {
  float top = x[0];
#pragma omp simd reduction(max : top)
  for (long c = 1; c < extent; ++c) top = x[c * stride] > top ? x[c * stride] : top;
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (long c = 0; c < extent; ++c) {
    const float e = exponential(x[c * stride] - top);
    sum += e;
    y[c * stride] = logarithm ? x[c * stride] - top : e;
  }
  const float log_sum = logarithm ? __builtin_logf(sum) : 0;
#pragma omp simd
  for (long c = 0; c < extent; ++c) y[c * stride] = logarithm ? y[c * stride] - log_sum : y[c * stride] / sum;
}

template <bool logarithm>
static void softmax_with(const SoftmaxJob& job, const Operands& operands) {
  const float* x = operands.in<float>(0);
  float* y = operands.out<float>(0);
  const Rows rows = job.rows;
  const long count = rows.outer * rows.inner;
  const long alone = 8192 / rows.extent;
  if (rows.extent > tile_extent) {
    parallel_parts(job.threads, count, 16, alone, [=](long begin, long end) {
      for (long row = begin; row < end; ++row) {
        const long start = row_start(rows, row);
        if (rows.inner == 1) {
          softmax_row<logarithm>(x + start, y + start, rows.extent, 1);
        } else {
          softmax_row<logarithm>(x + start, y + start, rows.extent, rows.inner);
        }
      }
    });
    return;
  }
  parallel_parts(job.threads, count, 16, alone, [=](long begin, long end) {
    Tile tile;
    for (long first = begin; first < end; first += 16) {
      const RowStarts starts = row_starts(rows, first);
      load_tile(rows, starts, x, tile);
      softmax_tile<logarithm>(tile, rows.extent);
      store_tile(rows, starts, tile, end - first < 16 ? static_cast<int>(end - first) : 16, y);
    }
  });
}

// softmax: dx = y (dy - sum dy y); log_softmax: dx = dy - e^y sum dy.
template <bool logarithm>
TRAINCTL_INLINE void softmax_backward_row(const float* dy, const float* y, float* dx, long extent, long stride) {
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (long c = 0; c < extent; ++c) sum += logarithm ? dy[c * stride] : dy[c * stride] * y[c * stride];
#pragma omp simd
  for (long c = 0; c < extent; ++c) {
    dx[c * stride] =
        logarithm ? dy[c * stride] - exponential(y[c * stride]) * sum : y[c * stride] * (dy[c * stride] - sum);
  }
}

template <bool logarithm>
static void softmax_backward_with(const SoftmaxJob& job, const Operands& operands) {
  const float* dy = operands.in<float>(0);
  const float* y = operands.in<float>(1);
  float* dx = operands.out<float>(0);
  const Rows rows = job.rows;
  parallel_parts(job.threads, rows.outer * rows.inner, 16, 8192 / rows.extent, [=](long begin, long end) {
    for (long row = begin; row < end; ++row) {
      const long start = row_start(rows, row);
      if (rows.inner == 1) {
        softmax_backward_row<logarithm>(dy + start, y + start, dx + start, rows.extent, 1);
      } else {
        softmax_backward_row<logarithm>(dy + start, y + start, dx + start, rows.extent, rows.inner);
      }
    }
  });
}

void softmax(const SoftmaxJob& job, const Operands& operands) {
  job.logarithm ? softmax_with<true>(job, operands) : softmax_with<false>(job, operands);
}

void softmax_backward(const SoftmaxJob& job, const Operands& operands) {
  job.logarithm ? softmax_backward_with<true>(job, operands) : softmax_backward_with<false>(job, operands);
}

}  // namespace trainctl::cpu::TRAINCTL_ISA
