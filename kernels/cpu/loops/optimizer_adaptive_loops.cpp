#include "kernels/cpu/loops/optimizer_loops.h"
#include "kernels/cpu/loops/optimizer_update.h"

namespace trainctl::cpu::TRAINCTL_ISA {

void adagrad(const AdagradJob& job, const Operands& operands) {
  const float* p = operands.in<float>(0);
  const float* g = operands.in<float>(1);
  const float* sum = operands.in<float>(2);
  std::int64_t t = *operands.in<std::int64_t>(3);
  float* p_next = operands.out<float>(0);
  float* sum_next = operands.out<float>(1);
  std::int64_t* t_next = operands.out<std::int64_t>(2);
  const double lr = scalar(operands.in<float>(4), 0);
  const float decay = scalar(operands.in<float>(5), 0), g_scale = scalar(operands.in<float>(6), 1);
  if (!is_finite(operands.in<std::int32_t>(7))) {
    keep(operands, 0, 0, job.count);
    keep(operands, 1, 2, job.count);
    *t_next = t;
    return;
  }
  *t_next = ++t;
  const float rate = static_cast<float>(lr / (1 + static_cast<double>(t - 1) * job.lr_decay));
  const float eps = static_cast<float>(job.eps);
  update_all(
      job.threads, job.count, p_next, [=](long i) __attribute__((always_inline)) {
        const float d = g_scale * g[i] + decay * p[i];
        const float s = sum[i] + d * d;
        sum_next[i] = s;
        p_next[i] = p[i] - rate * (d / (__builtin_sqrtf(s) + eps));
      });
}

void adadelta(const AdadeltaJob& job, const Operands& operands) {
  const float* p = operands.in<float>(0);
  const float* g = operands.in<float>(1);
  const float* square = operands.in<float>(2);
  const float* delta = operands.in<float>(3);
  float* p_next = operands.out<float>(0);
  float* square_next = operands.out<float>(1);
  float* delta_next = operands.out<float>(2);
  const float lr = scalar(operands.in<float>(4), 0), decay = scalar(operands.in<float>(5), 0);
  const float g_scale = scalar(operands.in<float>(6), 1);
  if (!is_finite(operands.in<std::int32_t>(7))) {
    for (int i = 0; i < 3; ++i) keep(operands, i, i == 0 ? 0 : i + 1, job.count);
    return;
  }
  const float rho = static_cast<float>(job.rho), rest = static_cast<float>(1 - job.rho),
              eps = static_cast<float>(job.eps);
  update_all(
      job.threads, job.count, p_next, [=](long i) __attribute__((always_inline)) {
        const float d = g_scale * g[i] + decay * p[i];
        const float s = rho * square[i] + rest * (d * d);
        const float move = __builtin_sqrtf(delta[i] + eps) / __builtin_sqrtf(s + eps) * d;
        square_next[i] = s;
        delta_next[i] = rho * delta[i] + rest * (move * move);
        p_next[i] = p[i] - lr * move;
      });
}

void lion(const LionJob& job, const Operands& operands) {
  const float* p = operands.in<float>(0);
  const float* g = operands.in<float>(1);
  const float* m = operands.in<float>(2);
  float* p_next = operands.out<float>(0);
  float* m_next = operands.out<float>(1);
  const float lr = scalar(operands.in<float>(3), 0), decay = scalar(operands.in<float>(4), 0);
  const float g_scale = scalar(operands.in<float>(5), 1);
  if (!is_finite(operands.in<std::int32_t>(6))) {
    keep(operands, 0, 0, job.count);
    keep(operands, 1, 2, job.count);
    return;
  }
  const float beta1 = static_cast<float>(job.beta1), rest1 = static_cast<float>(1 - job.beta1);
  const float beta2 = static_cast<float>(job.beta2), rest2 = static_cast<float>(1 - job.beta2);
  update_all(
      job.threads, job.count, p_next, [=](long i) __attribute__((always_inline)) {
        const float d = g_scale * g[i];
        const float c = beta1 * m[i] + rest1 * d;
        const float sign = c > 0.0f ? 1.0f : c < 0.0f ? -1.0f : c;  // keeps NaN
        m_next[i] = beta2 * m[i] + rest2 * d;
        p_next[i] = p[i] - lr * (sign + decay * p[i]);
      });
}

void lamb_direction(const LambJob& job, const Operands& operands) {
  const float* p = operands.in<float>(0);
  const float* g = operands.in<float>(1);
  const float* m = operands.in<float>(2);
  const float* v = operands.in<float>(3);
  std::int64_t t = *operands.in<std::int64_t>(4);
  float* r = operands.out<float>(0);
  float* m_next = operands.out<float>(1);
  float* v_next = operands.out<float>(2);
  std::int64_t* t_next = operands.out<std::int64_t>(3);
  const float decay = scalar(operands.in<float>(5), 0), g_scale = scalar(operands.in<float>(6), 1);
  if (!is_finite(operands.in<std::int32_t>(7))) {
    __builtin_memset(r, 0, job.count * sizeof(float));
    keep(operands, 1, 2, job.count);
    keep(operands, 2, 3, job.count);
    *t_next = t;
    return;
  }
  *t_next = ++t;
  const float step = static_cast<float>(1 / (1 - __builtin_pow(job.beta1, static_cast<double>(t))));
  const float correction = static_cast<float>(1 / __builtin_sqrt(1 - __builtin_pow(job.beta2, static_cast<double>(t))));
  const float beta1 = static_cast<float>(job.beta1), rest1 = static_cast<float>(1 - job.beta1);
  const float beta2 = static_cast<float>(job.beta2), rest2 = static_cast<float>(1 - job.beta2);
  const float eps = static_cast<float>(job.eps);
  update_all(
      job.threads, job.count, r, [=](long i) __attribute__((always_inline)) {
        const float d = g_scale * g[i];
        const float mean = beta1 * m[i] + rest1 * d;
        const float square = beta2 * v[i] + rest2 * (d * d);
        m_next[i] = mean;
        v_next[i] = square;
        r[i] = step * (mean / (__builtin_sqrtf(square) * correction + eps)) + decay * p[i];
      });
}

void trust_step(const TrustJob& job, const Operands& operands) {
  const float* p = operands.in<float>(0);
  const float* r = operands.in<float>(1);
  const std::int64_t* bounds = operands.in<std::int64_t>(2);
  const float lr = *operands.in<float>(3);
  float* p_next = operands.out<float>(0);
  double* partial = static_cast<double*>(operands.workspace);
  for (long k = 0; k < job.tensors; ++k) {
    const long first = bounds[k], last = bounds[k + 1], blocks = (last - first + trust_block - 1) / trust_block;
    parallel_parts(job.threads, blocks, 1, 4, [=](long begin, long end) {
      for (long block = begin; block < end; ++block) {
        const long from = first + block * trust_block, to = from + trust_block < last ? from + trust_block : last;
        double of_p = 0, of_r = 0;
#pragma omp simd reduction(+ : of_p, of_r)
        for (long i = from; i < to; ++i) {
          of_p += static_cast<double>(p[i]) * p[i];
          of_r += static_cast<double>(r[i]) * r[i];
        }
        partial[2 * block] = of_p;
        partial[2 * block + 1] = of_r;
      }
    });
    double of_p = 0, of_r = 0;
    for (long block = 0; block < blocks; ++block) of_p += partial[2 * block], of_r += partial[2 * block + 1];
    const double ratio = of_p == 0 || of_r == 0 ? 1 : __builtin_sqrt(of_p) / __builtin_sqrt(of_r);
    const float rate = static_cast<float>(lr * ratio);
    parallel_parts(job.threads, last - first, 16, 8192, [=](long begin, long end) {
#pragma omp simd
      for (long i = first + begin; i < first + end; ++i) p_next[i] = p[i] - rate * r[i];
    });
  }
}

}  // namespace trainctl::cpu::TRAINCTL_ISA
