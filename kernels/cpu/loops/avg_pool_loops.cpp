#include "kernels/cpu/loops/pool_window.h"

namespace trainctl::cpu::TRAINCTL_ISA {

/// The means of n windows; see maximum_of() for the steps.
template <int n, int step>
TRAINCTL_INLINE void mean_of(const float* x, long row, long column, long stride, const Span& rows, const Span& columns,
                             float divisor, float* y) {
  typename Vector<n>::Floats sum{};
  for (long r = rows.begin; r < rows.end; ++r) {
    for (long s = columns.begin; s < columns.end; ++s) sum += load_apart<n, step>(x + r * row + s * column, stride);
  }
  store(y, sum / divisor);
}

/// One window as wide as a row-major image, as in global pooling.
static float wide_mean(const float* x, long row, const Span& rows, const Span& columns, float divisor) {
  float sum = 0;
  for (long r = rows.begin; r < rows.end; ++r) {
#pragma omp simd reduction(+ : sum)
    for (long s = columns.begin; s < columns.end; ++s) sum += x[r * row + s];
  }
  return sum / divisor;
}

void avg_pool(const PoolJob& job, const Operands& operands) {
  const long row = job.width * job.lanes, out_row = job.out_width * job.lanes;
  parallel_parts(job.threads, job.planes, 1, planes_alone(job), [&](long begin, long end) {
    for (long plane = begin; plane < end; ++plane) {
      const float* x = operands.in<float>(0) + plane * plane_size(job);
      float* y = operands.out<float>(0) + plane * out_plane_size(job);
      if (job.lanes == 1 && job.out_width == 1) {
        for (long i = 0; i < job.out_height; ++i) {
          const Span rows = rows_at(job, i), columns = columns_at(job, 0);
          y[i] =
              wide_mean(x + rows.origin * row + columns.origin, row, rows, columns, window_divisor(job, rows, columns));
        }
        continue;
      }
      each_vector(job, [&]<int n, int step>(long i, const Span& columns, long out, long lane) {
        const Span rows = rows_at(job, i);
        mean_of<n, step>(x + rows.origin * row + columns.origin * job.lanes + lane, row, job.lanes, job.stride_width,
                         rows, columns, window_divisor(job, rows, columns), y + i * out_row + out);
      });
    }
  });
}

void avg_pool_backward(const PoolJob& job, const Operands& operands) {
  const long row = job.width * job.lanes;
  parallel_parts(job.threads, job.planes, 1, planes_alone(job), [&](long begin, long end) {
    for (long plane = begin; plane < end; ++plane) {
      const float* dy = operands.in<float>(0) + plane * out_plane_size(job);
      float* dx = operands.out<float>(0) + plane * plane_size(job);
      __builtin_memset(dx, 0, plane_size(job) * sizeof(float));
      for (long i = 0; i < job.out_height; ++i) {
        const Span rows = rows_at(job, i);
        for (long j = 0; j < job.out_width; ++j, dy += job.lanes) {
          const Span columns = columns_at(job, j);
          const float divisor = window_divisor(job, rows, columns);
          float* origin = dx + rows.origin * row + columns.origin * job.lanes;
          for (long r = rows.begin; r < rows.end; ++r) {
            if (job.lanes == 1) {
              const float share = *dy / divisor;
              for (long s = columns.begin; s < columns.end; ++s) origin[r * row + s] += share;
            } else {
              for (long s = columns.begin; s < columns.end; ++s) {
                float* to = origin + r * row + s * job.lanes;
#pragma omp simd
                for (long l = 0; l < job.lanes; ++l) to[l] += dy[l] / divisor;
              }
            }
          }
        }
      }
    }
  });
}

}  // namespace trainctl::cpu::TRAINCTL_ISA
