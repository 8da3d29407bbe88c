#include "kernels/cpu/loops/layer_norm_loops.h"

#include "kernels/cpu/loops/simd.h"

namespace trainctl::cpu::TRAINCTL_ISA {

void layer_norm(const LayerNormJob& job, const Operands& operands) {
  const float* x_all = operands.in<float>(0);
  const float* gamma = operands.in<float>(1);
  const float* beta = operands.in<float>(2);
  float* y_all = operands.out<float>(0);
  float* mean_out = operands.out<float>(1);
  float* rstd_out = operands.out<float>(2);
  const long extent = job.extent;
  parallel_parts(job.threads, job.rows, 1, 16384 / extent, [=, &job](long begin, long end) {
    for (long row = begin; row < end; ++row) {
      const float* x = x_all + row * extent;
      float* y = y_all + row * extent;
      double sum = 0;
#pragma omp simd reduction(+ : sum)
      for (long i = 0; i < extent; ++i) sum += static_cast<double>(x[i]);
      const float mean = static_cast<float>(sum / static_cast<double>(extent));
      double squares = 0;
#pragma omp simd reduction(+ : squares)
      for (long i = 0; i < extent; ++i) {
        const float d = x[i] - mean;
        squares += static_cast<double>(d * d);
      }
      const float rstd = static_cast<float>(1 / __builtin_sqrt(squares / static_cast<double>(extent) + job.eps));
      mean_out[row] = mean;
      rstd_out[row] = rstd;
      if (gamma) {
#pragma omp simd
        for (long i = 0; i < extent; ++i) y[i] = (x[i] - mean) * rstd * gamma[i];
      } else {
#pragma omp simd
        for (long i = 0; i < extent; ++i) y[i] = (x[i] - mean) * rstd;
      }
      if (beta) {
#pragma omp simd
        for (long i = 0; i < extent; ++i) y[i] += beta[i];
      }
    }
  });
}

// With h = (x - mean) rstd, d = dy gamma and means over the row: dx = rstd (d - mean(d) - h mean(d h)); dgamma = sum dy
// h, dbeta = sum dy.
void layer_norm_backward(const LayerNormJob& job, const Operands& operands) {
  const float* x_all = operands.in<float>(0);
  const float* dy_all = operands.in<float>(1);
  const float* mean_in = operands.in<float>(2);
  const float* rstd_in = operands.in<float>(3);
  const float* gamma = operands.in<float>(4);
  float* dx_all = operands.out<float>(0);
  float* dgamma = operands.out<float>(1);
  float* dbeta = operands.out<float>(2);
  const long extent = job.extent;
  const int threads = job.rows * extent > 16384 ? job.threads : 1;
  float* partial = static_cast<float*>(operands.workspace);
  parallel_parts(threads, threads, 1, 1, [=, &job](long first, long last) {
    for (long thread = first; thread < last; ++thread) {
      float* gamma_sum = partial + thread * 2 * extent;
      float* beta_sum = gamma_sum + extent;
      if (dgamma) __builtin_memset(gamma_sum, 0, 2 * extent * sizeof(float));
      const Range rows = part(job.rows, 1, static_cast<int>(thread), threads);
      for (long row = rows.begin; row < rows.end; ++row) {
        const float* x = x_all + row * extent;
        const float* dy = dy_all + row * extent;
        float* dx = dx_all + row * extent;
        const float mean = mean_in[row], rstd = rstd_in[row];
        double sum = 0, dot = 0;
#pragma omp simd reduction(+ : sum, dot)
        for (long i = 0; i < extent; ++i) {
          const float d = gamma ? dy[i] * gamma[i] : dy[i];
          sum += static_cast<double>(d);
          dot += static_cast<double>(d * ((x[i] - mean) * rstd));
        }
        if (dgamma) {
#pragma omp simd
          for (long i = 0; i < extent; ++i) {
            gamma_sum[i] += dy[i] * ((x[i] - mean) * rstd);
            beta_sum[i] += dy[i];
          }
        }
        const float flat = static_cast<float>(sum / static_cast<double>(extent)),
                    slope = static_cast<float>(dot / static_cast<double>(extent));
#pragma omp simd
        for (long i = 0; i < extent; ++i) {
          const float d = gamma ? dy[i] * gamma[i] : dy[i];
          dx[i] = rstd * (d - flat - (x[i] - mean) * rstd * slope);
        }
      }
    }
  });
  if (!dgamma) return;
  for (long i = 0; i < extent; ++i) {
    double gamma_total = 0, beta_total = 0;
    for (int thread = 0; thread < threads; ++thread) {
      gamma_total += partial[thread * 2 * extent + i];
      beta_total += partial[thread * 2 * extent + extent + i];
    }
    dgamma[i] = static_cast<float>(gamma_total);
    dbeta[i] = static_cast<float>(beta_total);
  }
}

}  // namespace trainctl::cpu::TRAINCTL_ISA
