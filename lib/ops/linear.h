// Affine maps of the last axis.
#pragma once

#include <string>

#include "device/attributes.h"
#include "ops/activation.h"

namespace trainctl {

/// "linear": (x (..., K), w (N, K), b (N) or left out) -> y (..., N);  y = f(x w^T + b), f = activation (set by fusion
/// only). "linear_backward_data": (dy (..., N), w (N, K), saved (..., K) or absent) -> dx (..., K) = (dy w) f'(saved).
/// "linear_backward_weights": (x (..., K), dy (..., N)) -> dw (N, K) = dy^T x, and with `bias` db (N) = sum of dy over
/// rows.
struct LinearAttributes final : Attributes {
  Activation activation;
  bool bias = true;  ///< for linear_backward_weights: whether it gives db
  std::string text() const override { return (bias ? "bias" : "") + (activation ? " " + activation.text() : ""); }
};

}  // namespace trainctl
