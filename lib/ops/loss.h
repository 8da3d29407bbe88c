// Losses as ops: one scalar for a batch.
#pragma once

#include <cstdint>
#include <string>

#include "device/attributes.h"

namespace trainctl {

/// "softmax_cross_entropy": (logits (N, C, ...), target (N, ...) i64 or i32, smoothing scalar f32, weights (C) or left
/// out) -> loss scalar, lse (N, ...)
///   With p = softmax(logits) over axis 1, s = smoothing, w = weights or ones:
///   loss = sum_i [ -(1 - s) w[t_i] log p_i[t_i] - s/C sum_c w[c] log p_i[c] ] / sum_i w[t_i];   lse_i = log sum_c
///   exp(logits_i[c]). As PyTorch's.
/// "softmax_cross_entropy_backward": (logits, target, smoothing, weights or left out, lse, dloss scalar) -> dlogits.
/// Where
///   a fusion leaves lse out, the kernel computes it.
/// "nll": (log_p (N, C, ...), target, weights (C) or left out) -> loss = -sum_i w[t_i] log_p_i[t_i] / sum_i w[t_i].
/// "nll_backward": (log_p, target, weights or left out, dloss scalar) -> dlog_p (log_p only gives the shape).

/// "pointwise_loss": (prediction, target, both f32 of one shape) -> the mean over all elements of
///   squared (p - t)^2, absolute |p - t|, huber d^2/2 if |d| <= delta else delta (|d| - delta/2) (d = p - t; Huber,
///   1964), bce_with_logits max(p, 0) - p t + log(1 + e^-|p|),
///   focal a (1 - q)^gamma bce_with_logits, s = sigmoid(p), q = s t + (1 - s)(1 - t), a = alpha t + (1 - alpha)(1 - t),
///   or 1 where alpha is negative (Lin et al., 2017), kl_div t (log t - p), 0 where t = 0, kl_div_log e^t (t - p).
/// "pointwise_loss_backward": (prediction, target, dloss scalar) -> dprediction. The derivative of |x| at 0 is 0.
struct PointwiseLossAttributes final : Attributes {
  enum class Kind : std::uint8_t { squared, absolute, huber, bce_with_logits, focal, kl_div, kl_div_log };
  Kind kind = Kind::squared;
  double delta = 1.0;   ///< huber
  double gamma = 2.0;   ///< focal
  double alpha = -1.0;  ///< focal
  /// Whether the loss is the same with prediction and target exchanged.
  bool symmetric() const { return kind == Kind::squared || kind == Kind::absolute || kind == Kind::huber; }
  std::string text() const override;
};

}  // namespace trainctl
