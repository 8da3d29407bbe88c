// Activations and their derivatives on one number. For *_loops.cpp only.
#pragma once

#include "kernels/cpu/loops/activation_loops.h"
#include "kernels/cpu/loops/simd.h"

namespace trainctl::cpu::TRAINCTL_ISA {

constexpr float inverse_sqrt2 = 0.707106781f;
constexpr float inverse_sqrt_2pi = 0.398942280f;
constexpr float gelu_scale = 0.797884561f;  // sqrt(2 / pi)
constexpr float gelu_cubic = 0.044715f;

/// e^x - 1 for x <= 0, without cancellation near 0: 2 tanh(x/2) / (1 - tanh(x/2)).
TRAINCTL_INLINE float exponential_minus_one(float x) {
  const float t = hyperbolic_tangent(0.5f * x);
  return 2.0f * t / (1.0f - t);
}

/// 1 - e^x for x <= 0, exact to the last bits near 0.
TRAINCTL_INLINE float one_minus_exponential(float x) {
  return x < -1.0f ? 1.0f - exponential(x) : 0.0f - exponential_minus_one(x);  // never -0: padding stays 0
}

/// log(1 + e^x).
TRAINCTL_INLINE float soft_positive(float x) {
  return (x < 0.0f ? 0.0f : x) + __builtin_log1pf(exponential(-absolute(x)));
}

template <Curve curve>
TRAINCTL_INLINE float curve_value(float x, float alpha) {
  if constexpr (curve == Curve::relu) return x < 0.0f ? 0.0f : x;
  if constexpr (curve == Curve::leaky_relu) return x > 0.0f ? x : alpha * x;
  if constexpr (curve == Curve::elu) return x > 0.0f ? x : alpha * exponential_minus_one(x);
  if constexpr (curve == Curve::gelu) return 0.5f * x * (1.0f + error_function(x * inverse_sqrt2));
  if constexpr (curve == Curve::gelu_tanh)
    return 0.5f * x * (1.0f + hyperbolic_tangent(gelu_scale * (x + gelu_cubic * x * x * x)));
  if constexpr (curve == Curve::silu) return x * logistic(x);
  if constexpr (curve == Curve::sigmoid) return logistic(x);
  if constexpr (curve == Curve::tanh) return hyperbolic_tangent(x);
  if constexpr (curve == Curve::hardswish) {
    const float gate = x + 3.0f < 0.0f ? 0.0f : x + 3.0f > 6.0f ? 6.0f : x + 3.0f;
    return x * gate / 6.0f;
  }
  if constexpr (curve == Curve::softplus) return soft_positive(alpha * x) / alpha;
  return x;
}

/// f' from the saved operand: the output, or for gelu, gelu_tanh, silu and hardswish the input.
template <Curve curve>
TRAINCTL_INLINE float curve_slope(float saved, float alpha) {
  if constexpr (curve == Curve::relu) return saved > 0.0f ? 1.0f : 0.0f;
  if constexpr (curve == Curve::leaky_relu) return saved > 0.0f ? 1.0f : alpha;
  if constexpr (curve == Curve::elu) return saved > 0.0f ? 1.0f : saved + alpha;
  if constexpr (curve == Curve::gelu) {
    const float x = saved;
    return 0.5f * (1.0f + error_function(x * inverse_sqrt2)) + x * inverse_sqrt_2pi * exponential(-0.5f * x * x);
  }
  if constexpr (curve == Curve::gelu_tanh) {
    const float x = saved;
    const float t = hyperbolic_tangent(gelu_scale * (x + gelu_cubic * x * x * x));
    return 0.5f * (1.0f + t) + 0.5f * x * (1.0f - t * t) * gelu_scale * (1.0f + 3.0f * gelu_cubic * x * x);
  }
  if constexpr (curve == Curve::silu) {
    const float s = logistic(saved);
    return s * (1.0f + saved * (1.0f - s));
  }
  if constexpr (curve == Curve::sigmoid) return saved * (1.0f - saved);
  if constexpr (curve == Curve::tanh) return 1.0f - saved * saved;
  if constexpr (curve == Curve::hardswish)
    return saved <= -3.0f ? 0.0f : saved >= 3.0f ? 1.0f : saved / 3.0f + 0.5f;  // keeps NaN
  if constexpr (curve == Curve::softplus) return one_minus_exponential(-alpha * saved);
  return 1.0f;
}

/// Calls body.operator()<curve>() for the curve of the job.
template <typename Body>
TRAINCTL_INLINE void with_curve(Curve curve, const Body& body) {
  switch (curve) {
    case Curve::none:
      return body.template operator()<Curve::none>();
    case Curve::relu:
      return body.template operator()<Curve::relu>();
    case Curve::leaky_relu:
      return body.template operator()<Curve::leaky_relu>();
    case Curve::elu:
      return body.template operator()<Curve::elu>();
    case Curve::gelu:
      return body.template operator()<Curve::gelu>();
    case Curve::gelu_tanh:
      return body.template operator()<Curve::gelu_tanh>();
    case Curve::silu:
      return body.template operator()<Curve::silu>();
    case Curve::sigmoid:
      return body.template operator()<Curve::sigmoid>();
    case Curve::tanh:
      return body.template operator()<Curve::tanh>();
    case Curve::hardswish:
      return body.template operator()<Curve::hardswish>();
    case Curve::softplus:
      return body.template operator()<Curve::softplus>();
  }
}

}  // namespace trainctl::cpu::TRAINCTL_ISA
