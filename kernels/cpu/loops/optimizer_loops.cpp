#include "kernels/cpu/loops/optimizer_loops.h"

#include "kernels/cpu/loops/optimizer_update.h"

namespace trainctl::cpu::TRAINCTL_ISA {

void sgd(const SgdJob& job, const Operands& operands) {
  const float* p = operands.in<float>(0);
  const float* g = operands.in<float>(1);
  const float* buffer = operands.in<float>(2);
  float* p_next = operands.out<float>(0);
  const float lr = scalar(operands.in<float>(3), 0), decay = scalar(operands.in<float>(4), 0),
              momentum = scalar(operands.in<float>(5), 0);
  const float g_scale = scalar(operands.in<float>(6), 1);
  if (!is_finite(operands.in<std::int32_t>(7))) {
    keep(operands, 0, 0, job.count);
    if (buffer) keep(operands, 1, 2, job.count);
    return;
  }
  if (!buffer) {
    update_all(
        job.threads, job.count, p_next, [=](long i) __attribute__((always_inline)) {
          p_next[i] = p[i] - lr * (g_scale * g[i] + decay * p[i]);
        });
    return;
  }
  float* buffer_next = operands.out<float>(1);
  // g + momentum buffer under Nesterov, else the buffer itself: own weights of the two, so that one loop does both.
  const float of_g = job.nesterov ? 1.0f : 0.0f, of_buffer = job.nesterov ? momentum : 1.0f;
  update_all(
      job.threads, job.count, p_next, [=](long i) __attribute__((always_inline)) {
        const float d = g_scale * g[i] + decay * p[i];
        const float b = momentum * buffer[i] + d;
        buffer_next[i] = b;
        p_next[i] = p[i] - lr * (of_g * d + of_buffer * b);
      });
}

void adam(const AdamJob& job, const Operands& operands) {
  const float* p = operands.in<float>(0);
  const float* g = operands.in<float>(1);
  const float* m = operands.in<float>(2);
  const float* v = operands.in<float>(3);
  std::int64_t t = *operands.in<std::int64_t>(4);
  float* p_next = operands.out<float>(0);
  float* m_next = operands.out<float>(1);
  float* v_next = operands.out<float>(2);
  std::int64_t* t_next = operands.out<std::int64_t>(3);
  const double lr = scalar(operands.in<float>(5), 0);
  const float decay = scalar(operands.in<float>(6), 0), g_scale = scalar(operands.in<float>(7), 1);
  if (!is_finite(operands.in<std::int32_t>(8))) {
    for (int i = 0; i < 3; ++i) keep(operands, i, i == 0 ? 0 : i + 1, job.count);
    *t_next = t;
    return;
  }
  *t_next = ++t;
  const float step = static_cast<float>(lr / (1 - __builtin_pow(job.beta1, static_cast<double>(t))));
  const float correction = static_cast<float>(1 / __builtin_sqrt(1 - __builtin_pow(job.beta2, static_cast<double>(t))));
  const float beta1 = static_cast<float>(job.beta1), rest1 = static_cast<float>(1 - job.beta1);
  const float beta2 = static_cast<float>(job.beta2), rest2 = static_cast<float>(1 - job.beta2);
  const float eps = static_cast<float>(job.eps);
  const float coupled = job.decoupled ? 0.0f : decay;
  const float shrink = job.decoupled ? static_cast<float>(1 - lr * decay) : 1.0f;
  update_all(
      job.threads, job.count, p_next, [=](long i) __attribute__((always_inline)) {
        const float d = g_scale * g[i] + coupled * p[i];
        const float mean = beta1 * m[i] + rest1 * d;
        const float square = beta2 * v[i] + rest2 * (d * d);
        m_next[i] = mean;
        v_next[i] = square;
        p_next[i] = shrink * p[i] - step * (mean / (__builtin_sqrtf(square) * correction + eps));
      });
}

template <bool centered, bool buffered>
static void rmsprop_with(const RmsPropJob& job, const Operands& operands) {
  const float* p = operands.in<float>(0);
  const float* g = operands.in<float>(1);
  const float* square = operands.in<float>(2);
  const float* mean = operands.in<float>(3);
  const float* buffer = operands.in<float>(4);
  float* p_next = operands.out<float>(0);
  float* square_next = operands.out<float>(1);
  float* mean_next = centered ? operands.out<float>(2) : nullptr;
  float* buffer_next = buffered ? operands.out<float>(2 + centered) : nullptr;
  const float lr = scalar(operands.in<float>(5), 0), decay = scalar(operands.in<float>(6), 0),
              momentum = scalar(operands.in<float>(7), 0);
  const float g_scale = scalar(operands.in<float>(8), 1);
  const float alpha = static_cast<float>(job.alpha), rest = static_cast<float>(1 - job.alpha),
              eps = static_cast<float>(job.eps);
  update_all(
      job.threads, job.count, p_next, [=](long i) __attribute__((always_inline)) {
        const float d = g_scale * g[i] + decay * p[i];
        const float s = alpha * square[i] + rest * (d * d);
        square_next[i] = s;
        float spread = s;
        if constexpr (centered) {
          const float average = alpha * mean[i] + rest * d;
          mean_next[i] = average;
          const float least = 0x1p-23f * s;  // RmsPropAttributes::least_spread
          spread = s - average * average;
          spread = spread < least ? least : spread;  // keeps NaN
        }
        float move = d / (__builtin_sqrtf(spread) + eps);
        if constexpr (buffered) {
          move = momentum * buffer[i] + move;
          buffer_next[i] = move;
        }
        p_next[i] = p[i] - lr * move;
      });
}

void rmsprop(const RmsPropJob& job, const Operands& operands) {
  const bool centered = operands.in<float>(3) != nullptr, buffered = operands.in<float>(4) != nullptr;
  if (!is_finite(operands.in<std::int32_t>(9))) {
    keep(operands, 0, 0, job.count);
    keep(operands, 1, 2, job.count);
    if (centered) keep(operands, 2, 3, job.count);
    if (buffered) keep(operands, 2 + centered, 4, job.count);
    return;
  }
  if (centered) return buffered ? rmsprop_with<true, true>(job, operands) : rmsprop_with<true, false>(job, operands);
  return buffered ? rmsprop_with<false, true>(job, operands) : rmsprop_with<false, false>(job, operands);
}

}  // namespace trainctl::cpu::TRAINCTL_ISA
