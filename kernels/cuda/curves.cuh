// Activations on the device, in f32.
#pragma once

#include "ops/activation.h"

namespace trainctl::cuda {

/// f(x).
__device__ inline float curve(const Activation& f, float x) {
  const float alpha = static_cast<float>(f.alpha);
  switch (f.kind) {
    case Activation::Kind::none:
      return x;
    case Activation::Kind::relu:
      return x < 0.0f ? 0.0f : x;  // keeps NaN
    case Activation::Kind::leaky_relu:
      return x > 0.0f ? x : alpha * x;
    case Activation::Kind::elu:
      return x > 0.0f ? x : alpha * expm1f(x);
    case Activation::Kind::gelu:
      return 0.5f * x * erfcf(-x * 0.70710678118654752f);
    case Activation::Kind::gelu_tanh: {
      const float inner = 0.79788456080286536f * (x + 0.044715f * x * x * x);
      return 0.5f * x * (1.0f + tanhf(inner));
    }
    case Activation::Kind::silu:
      return x / (1.0f + expf(-x));
    case Activation::Kind::sigmoid:
      return 1.0f / (1.0f + expf(-x));
    case Activation::Kind::tanh:
      return tanhf(x);
    case Activation::Kind::hardswish: {
      const float gate = x + 3.0f < 0.0f ? 0.0f : x + 3.0f > 6.0f ? 6.0f : x + 3.0f;
      return x * gate / 6.0f;
    }
    case Activation::Kind::softplus: {
      const float scaled = alpha * x;
      return ((scaled < 0.0f ? 0.0f : scaled) + log1pf(expf(-fabsf(scaled)))) / alpha;
    }
  }
  return x;
}

/// f'(x), from y = f(x) where Activation::derivative_from_output() holds, else from x.
__device__ inline float curve_slope(const Activation& f, float saved) {
  const float alpha = static_cast<float>(f.alpha);
  switch (f.kind) {
    case Activation::Kind::none:
      return 1.0f;
    case Activation::Kind::relu:
      return saved > 0.0f ? 1.0f : 0.0f;
    case Activation::Kind::leaky_relu:
      return saved > 0.0f ? 1.0f : alpha;
    case Activation::Kind::elu:
      return saved > 0.0f ? 1.0f : saved + alpha;
    case Activation::Kind::gelu: {
      const float density = 0.39894228040143268f * expf(-0.5f * saved * saved);
      return 0.5f * erfcf(-saved * 0.70710678118654752f) + saved * density;
    }
    case Activation::Kind::gelu_tanh: {
      const float inner = 0.79788456080286536f * (saved + 0.044715f * saved * saved * saved);
      const float t = tanhf(inner);
      const float slope = 0.79788456080286536f * (1.0f + 3.0f * 0.044715f * saved * saved);
      return 0.5f * (1.0f + t) + 0.5f * saved * (1.0f - t * t) * slope;
    }
    case Activation::Kind::silu: {
      const float s = 1.0f / (1.0f + expf(-saved));
      return s * (1.0f + saved * (1.0f - s));
    }
    case Activation::Kind::sigmoid:
      return saved * (1.0f - saved);
    case Activation::Kind::tanh:
      return 1.0f - saved * saved;
    case Activation::Kind::hardswish:
      return saved <= -3.0f ? 0.0f : saved >= 3.0f ? 1.0f : saved / 3.0f + 0.5f;
    case Activation::Kind::softplus:
      return -expm1f(-alpha * saved);
  }
  return 1.0f;
}

/// The same by a call, but for relu and none: for kernels that would hold the code of all kinds many times over.
template <typename = void>
__device__ __noinline__ float curve_by_call(Activation f, float x) {
  return curve(f, x);
}
template <typename = void>
__device__ __noinline__ float curve_slope_by_call(Activation f, float saved) {
  return curve_slope(f, saved);
}
__device__ inline float short_curve(const Activation& f, float x) {
  if (f.kind == Activation::Kind::none) return x;
  if (f.kind == Activation::Kind::relu) return x < 0.0f ? 0.0f : x;  // keeps NaN
  return curve_by_call<>(f, x);
}
__device__ inline float short_curve_slope(const Activation& f, float saved) {
  if (f.kind == Activation::Kind::relu) return saved > 0.0f ? 1.0f : 0.0f;
  return curve_slope_by_call<>(f, saved);
}

}  // namespace trainctl::cuda
