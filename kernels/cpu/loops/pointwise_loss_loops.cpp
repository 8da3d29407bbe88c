#include "kernels/cpu/loops/loss_loops.h"
#include "kernels/cpu/loops/simd.h"

namespace trainctl::cpu::TRAINCTL_ISA {

template <Distance distance>
TRAINCTL_INLINE float distance_value(float p, float t, float delta) {
  const float d = p - t, size = absolute(d);
  if constexpr (distance == Distance::squared) return d * d;
  if constexpr (distance == Distance::absolute) return size;
  if constexpr (distance == Distance::huber) return size <= delta ? 0.5f * d * d : delta * (size - 0.5f * delta);
  return (p < 0.0f ? 0.0f : p) - p * t + __builtin_log1pf(exponential(-absolute(p)));
}

template <Distance distance>
TRAINCTL_INLINE float distance_slope(float p, float t, float delta) {
  const float d = p - t;
  if constexpr (distance == Distance::squared) return 2.0f * d;
  if constexpr (distance == Distance::absolute) return d > 0.0f ? 1.0f : d < 0.0f ? -1.0f : d;
  if constexpr (distance == Distance::huber) return d > delta ? delta : d < -delta ? -delta : d;
  return logistic(p) - t;
}

template <typename Body>
TRAINCTL_INLINE void with_distance(Distance distance, const Body& body) {
  switch (distance) {
    case Distance::squared:
      return body.template operator()<Distance::squared>();
    case Distance::absolute:
      return body.template operator()<Distance::absolute>();
    case Distance::huber:
      return body.template operator()<Distance::huber>();
    case Distance::bce_with_logits:
      return body.template operator()<Distance::bce_with_logits>();
  }
}

void pointwise_loss(const PointwiseLossJob& job, const Operands& operands) {
  const float* p = operands.in<float>(0);
  const float* t = operands.in<float>(1);
  double* partial = static_cast<double*>(operands.workspace);
  const long count = job.count, blocks = (count + pointwise_block - 1) / pointwise_block;
  const float delta = job.delta;
  with_distance(job.distance, [&]<Distance distance>() {
    parallel_parts(job.threads, blocks, 1, 4, [=](long first, long last) {
      for (long block = first; block < last; ++block) {
        const long begin = block * pointwise_block,
                   end = begin + pointwise_block < count ? begin + pointwise_block : count;
        double sum = 0;
#pragma omp simd reduction(+ : sum)
        for (long i = begin; i < end; ++i) sum += static_cast<double>(distance_value<distance>(p[i], t[i], delta));
        partial[block] = sum;
      }
    });
  });
  double total = 0;
  for (long block = 0; block < blocks; ++block) total += partial[block];
  *operands.out<float>(0) = static_cast<float>(total / static_cast<double>(count));
}

void pointwise_loss_backward(const PointwiseLossJob& job, const Operands& operands) {
  const float* p = operands.in<float>(0);
  const float* t = operands.in<float>(1);
  float* dp = operands.out<float>(0);
  const float factor = static_cast<float>(*operands.in<float>(2) / static_cast<double>(job.count)), delta = job.delta;
  with_distance(job.distance, [&]<Distance distance>() {
    parallel_parts(job.threads, job.count, 16, 8192, [=](long begin, long end) {
#pragma omp simd
      for (long i = begin; i < end; ++i) dp[i] = factor * distance_slope<distance>(p[i], t[i], delta);
    });
  });
}

}  // namespace trainctl::cpu::TRAINCTL_ISA
