// Parameter updates: elementwise over one flat buffer of parameters, one launch for a whole group.
#pragma once

#include <string>

#include "device/attributes.h"

namespace trainctl {

// In all of them: p, g and slots are f32 (M); lr, weight_decay, momentum are f32 scalars; g_scale (f32 scalar, left out
// = 1) multiplies g first (clipping); finite (i32 scalar, left out = 1): where it is 0, every output equals its input.
// The equations are PyTorch's, in float32, with exact division and root.

/// "sgd": (p, g, buffer or left out, lr, weight_decay, momentum, g_scale, finite) -> p', buffer' (only if buffer is
/// given)
///   g += weight_decay p;  buffer = momentum buffer + g;  g = nesterov ? g + momentum buffer : buffer;  p -= lr g.
///   Without a buffer: p -= lr (g + weight_decay p). (Sutskever et al., 2013)
struct SgdAttributes final : Attributes {
  bool nesterov = false;
  std::string text() const override { return nesterov ? "nesterov" : ""; }
};

/// "adam": (p, g, m, v, t i64 scalar, lr, weight_decay, g_scale, finite) -> p', m', v', t'
///   t += 1;  coupled: g += weight_decay p;  decoupled (AdamW, Loshchilov & Hutter, 2019): p -= lr weight_decay p;
///   m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g^2;
///   p -= lr / (1 - beta1^t) * m / (sqrt(v) / sqrt(1 - beta2^t) + eps). (Kingma & Ba, 2015) The bias corrections are
///   computed in float64.
struct AdamAttributes final : Attributes {
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-8;
  bool decoupled = false;
  std::string text() const override;
};

/// "rmsprop": (p, g, square, mean or left out, buffer or left out, lr, weight_decay, momentum, g_scale, finite) -> p',
/// square', mean' (only if given), buffer' (only if given)
///   g += weight_decay p;  square = alpha square + (1 - alpha) g^2;  centered (mean given): mean = alpha mean + (1 -
///   alpha) g, s = max(square - mean^2, least_spread square), else s = square; d = g / (sqrt(s) + eps);  with a buffer:
///   buffer = momentum buffer + d, d = buffer;  p -= lr d. (Hinton's lecture 6e, 2012; Graves, 2013)
/// Of a gradient that stays the same the difference is rounding alone, and might be negative.
struct RmsPropAttributes final : Attributes {
  static constexpr double least_spread = 0x1p-23;  ///< the rounding of an f32
  double alpha = 0.99;
  double eps = 1e-8;
  std::string text() const override;
};

/// "adagrad": (p, g, sum, t i64 scalar, lr, weight_decay, g_scale, finite) -> p', sum', t'
///   t += 1;  g += weight_decay p;  sum += g^2;  p -= lr / (1 + (t - 1) lr_decay) g / (sqrt(sum) + eps). (Duchi, Hazan
///   & Singer, 2011)
struct AdagradAttributes final : Attributes {
  double lr_decay = 0.0;
  double eps = 1e-10;
  std::string text() const override;
};

/// "adadelta": (p, g, square, delta, lr, weight_decay, g_scale, finite) -> p', square', delta'
///   g += weight_decay p;  square = rho square + (1 - rho) g^2;  d = sqrt(delta + eps) / sqrt(square + eps) g;
///   delta = rho delta + (1 - rho) d^2;  p -= lr d. (Zeiler, 2012)
struct AdadeltaAttributes final : Attributes {
  double rho = 0.9;
  double eps = 1e-6;
  std::string text() const override;
};

/// "lion": (p, g, m, lr, weight_decay, g_scale, finite) -> p', m'
///   p -= lr (sign(beta1 m + (1 - beta1) g) + weight_decay p);  m = beta2 m + (1 - beta2) g. The sign of 0 is 0. (Chen
///   et al., 2023)
struct LionAttributes final : Attributes {
  double beta1 = 0.9;
  double beta2 = 0.99;
  std::string text() const override;
};

/// "lamb_direction": (p, g, m, v, t i64 scalar, weight_decay, g_scale, finite) -> r, m', v', t'
///   t += 1;  m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g^2;
///   r = m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + eps) + weight_decay p. Where `finite` is 0, r is 0. (You et
///   al., 2020)
struct LambAttributes final : Attributes {
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-6;
  std::string text() const override;
};

/// "trust_step": (p, r, bounds i64 (K + 1), lr) -> p': for each of K tensors, the elements [bounds[k], bounds[k + 1])
///   p -= lr |p| / |r| r, with Euclidean norms; the ratio is 1 where either of them is 0. bounds[0] = 0, the last is M.

/// "global_norm": (x_1, x_2, ...) -> f32 scalar: sqrt of the sum of all squares, accumulated in float64 in a fixed
/// order. "clip_factor": (norm, max_norm) -> min(1, max_norm / (norm + 1e-6)); a norm that is not finite is the factor
/// itself, so that
///   the product is not finite either.

}  // namespace trainctl
