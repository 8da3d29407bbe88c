// Two-dimensional convolution (cross-correlation, as everywhere in the field).
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "device/attributes.h"
#include "device/types.h"
#include "ops/activation.h"

namespace trainctl {

/// "conv2d": (x (N, C, H, W), w (O, C/groups, KH, KW), b (O) or left out, sum (N, O, OH, OW) or absent) -> y (N, O, OH,
/// OW)
///   y[n,o,i,j] = f(b[o] + sum[n,o,i,j] + sum_{c,r,s} x[n, c, i*stride_h + r*dilation_h - top, j*stride_w +
///   s*dilation_w - left] w[o,c,r,s]) OH = (H + top + bottom - dilation_h (KH - 1) - 1) / stride_h + 1, OW likewise. f
///   and `sum` are set by fusion only.
/// "conv2d_backward_data": (dy, w, saved like dx or absent) -> dx (N, C, H, W), the shape in `input_shape`, times
/// f'(saved) if fusion has set f. It is the transposed convolution too, and has a vjp as that.
/// "conv2d_backward_weights": (x, dy) -> dw, the shape in `weight_shape`, and with `bias` db (O).
struct Conv2dAttributes final : Attributes {
  std::array<std::int64_t, 2> stride{1, 1};
  std::array<std::int64_t, 2> dilation{1, 1};
  std::array<std::int64_t, 4> padding{};  ///< top, left, bottom, right
  std::int64_t groups = 1;
  Activation activation;
  bool bias = true;    ///< for conv2d_backward_weights: whether it gives db
  Shape input_shape;   ///< for conv2d_backward_data
  Shape weight_shape;  ///< for conv2d_backward_weights
  std::string text() const override;
};

}  // namespace trainctl
