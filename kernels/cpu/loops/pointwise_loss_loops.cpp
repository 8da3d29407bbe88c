#include "kernels/cpu/loops/loss_loops.h"
#include "kernels/cpu/loops/simd.h"

namespace trainctl::cpu::TRAINCTL_ISA {

/// What some distances are made with.
struct Numbers {
  float delta, gamma, alpha;
};

TRAINCTL_INLINE float binary_cross_entropy(float p, float t) {
  return (p < 0.0f ? 0.0f : p) - p * t + __builtin_log1pf(exponential(-absolute(p)));
}

/// The focal loss's factor of the cross-entropy, and its derivative.
struct Focus {
  float weight, slope;
};
TRAINCTL_INLINE Focus focus(float p, float t, const Numbers& numbers) {
  const float s = logistic(p), rest = logistic(-p), gamma = numbers.gamma;
  const float a = numbers.alpha < 0.0f ? 1.0f : numbers.alpha * t + (1.0f - numbers.alpha) * (1.0f - t);
  const float miss = s * (1.0f - t) + rest * t;
  if (gamma == 0.0f) return {a, 0.0f};
  const float below = miss <= 0.0f ? 0.0f : __builtin_powf(miss, gamma - 1.0f);
  return {a * below * miss, a * gamma * below * (1.0f - 2.0f * t) * s * rest};
}

template <Distance distance>
TRAINCTL_INLINE float distance_value(float p, float t, const Numbers& numbers) {
  const float d = p - t, size = absolute(d), delta = numbers.delta;
  if constexpr (distance == Distance::squared) return d * d;
  if constexpr (distance == Distance::absolute) return size;
  if constexpr (distance == Distance::huber) return size <= delta ? 0.5f * d * d : delta * (size - 0.5f * delta);
  if constexpr (distance == Distance::focal) return focus(p, t, numbers).weight * binary_cross_entropy(p, t);
  if constexpr (distance == Distance::kl_div) return t == 0.0f ? 0.0f : t * (__builtin_logf(t) - p);
  if constexpr (distance == Distance::kl_div_log) return exponential(t) * (t - p);
  return binary_cross_entropy(p, t);
}

template <Distance distance>
TRAINCTL_INLINE float distance_slope(float p, float t, const Numbers& numbers) {
  const float d = p - t, delta = numbers.delta;
  if constexpr (distance == Distance::squared) return 2.0f * d;
  if constexpr (distance == Distance::absolute) return d > 0.0f ? 1.0f : d < 0.0f ? -1.0f : d;
  if constexpr (distance == Distance::huber) return d > delta ? delta : d < -delta ? -delta : d;
  if constexpr (distance == Distance::focal) {
    const Focus f = focus(p, t, numbers);
    return f.weight * (logistic(p) - t) + f.slope * binary_cross_entropy(p, t);
  }
  if constexpr (distance == Distance::kl_div) return -t;
  if constexpr (distance == Distance::kl_div_log) return -exponential(t);
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
    case Distance::focal:
      return body.template operator()<Distance::focal>();
    case Distance::kl_div:
      return body.template operator()<Distance::kl_div>();
    case Distance::kl_div_log:
      return body.template operator()<Distance::kl_div_log>();
  }
}

void pointwise_loss(const PointwiseLossJob& job, const Operands& operands) {
  const float* p = operands.in<float>(0);
  const float* t = operands.in<float>(1);
  double* partial = static_cast<double*>(operands.workspace);
  const long count = job.count, blocks = (count + pointwise_block - 1) / pointwise_block;
  const Numbers numbers{job.delta, job.gamma, job.alpha};
  with_distance(job.distance, [&]<Distance distance>() {
    parallel_parts(job.threads, blocks, 1, 4, [=](long first, long last) {
      for (long block = first; block < last; ++block) {
        const long begin = block * pointwise_block,
                   end = begin + pointwise_block < count ? begin + pointwise_block : count;
        double sum = 0;
#pragma omp simd reduction(+ : sum)
        for (long i = begin; i < end; ++i) sum += static_cast<double>(distance_value<distance>(p[i], t[i], numbers));
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
  const float factor = static_cast<float>(*operands.in<float>(2) / static_cast<double>(job.count));
  const Numbers numbers{job.delta, job.gamma, job.alpha};
  with_distance(job.distance, [&]<Distance distance>() {
    parallel_parts(job.threads, job.count, 16, 8192, [=](long begin, long end) {
#pragma omp simd
      for (long i = begin; i < end; ++i) dp[i] = factor * distance_slope<distance>(p[i], t[i], numbers);
    });
  });
}

}  // namespace trainctl::cpu::TRAINCTL_ISA
