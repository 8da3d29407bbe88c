// Normalisation over the batch or over the last axes.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "device/attributes.h"
#include "ops/activation.h"

namespace trainctl {

/// Axis 1 is the channel; statistics run over all others (Ioffe & Szegedy, 2015).
/// "batch_norm": (x (N, C, ...), gamma (C), beta (C), sum (like x) or absent) -> y, mean (C), variance (C, biased)
///   y = f(gamma (x - mean) / sqrt(variance + eps) + beta + sum).   f and `sum` are set by fusion only.
/// "batch_norm_backward": (x, dy, mean, variance, gamma, y or left out) -> dx, dgamma, dbeta, and, if `gives_sum`, dsum
/// = dy f'(y).
///   With an activation (relu only), dy is first multiplied by f'(y); y is left out without one.
/// "batch_norm_inference": (x, gamma, beta, running_mean, running_variance, sum or absent) -> y, by the given
/// statistics. It has a vjp in x, gamma
///   and beta too (frozen statistics), made of elementwise ops.
struct BatchNormAttributes final : Attributes {
  double eps = 1e-5;
  Activation activation;
  bool gives_sum = false;
  std::string text() const override;
};

/// "layer_norm": (x (..., normalised axes), gamma or left out, beta or left out) -> y, mean (leading axes), rstd
/// (leading axes)
///   y = gamma (x - mean) rstd + beta, rstd = 1 / sqrt(var + eps) (Ba, Kiros & Hinton, 2016).
/// "layer_norm_backward": (x, dy, mean, rstd, gamma or left out) -> dx, dgamma, dbeta (the last two only with
/// `affine`). rstd and mean are the forward op's.
struct LayerNormAttributes final : Attributes {
  int axes = 1;  ///< how many of the last axes are normalised together
  double eps = 1e-5;
  bool affine = true;
  std::string text() const override;
};

/// "moving_average": (old, new, rate f32 scalar or left out) -> old + rate (scale * new - old), elementwise, for rates
/// from 0 to 1. `scale` is an attribute, and so is `rate` where the operand is left out. Rate 0 gives old and rate 1
/// scale * new to the last bit: from 1/2 on it is scale * new - (1 - rate) (scale * new - old), as torch.lerp has it.
/// Several at one rate are (old_1, ..., old_n, new_1, ..., new_n, rate or left out) -> n results, with a scale each.
struct MovingAverageAttributes final : Attributes {
  double rate = 0.1;
  std::vector<double> scales{1.0};
  std::size_t count() const { return scales.size(); }
  std::string text() const override;
};

}  // namespace trainctl
