// Pooling of windows.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "device/attributes.h"
#include "device/types.h"
#include "ops/activation.h"

namespace trainctl {

/// "max_pool2d": (x (N, C, H, W)) -> y (N, C, OH, OW), index (like y): the maximum of each window and its position r*KW
/// + s in the window
///   (the first in row-major order where several are equal; u8 if KH*KW <= 256, else i32). NaN wins over numbers, the
///   first NaN over later ones. Padding never wins.
/// "max_pool2d_backward": (dy, index, saved like dx or absent) -> dx (N, C, H, W), the shape in `input_shape`, times
/// f'(saved) if fusion has set f.
/// "avg_pool2d": (x) -> y: the mean of each window; padding counts as zeros if count_include_pad, else not at all.
///   What a window covers beyond the padding (ceil_mode) never counts.
/// "avg_pool2d_backward": (dy) -> dx, the shape in `input_shape`.
/// Output extents as for conv2d (floor) with dilation 1, or rounded up with ceil_mode, where a window that would begin
/// in the right or bottom padding is dropped.
struct Pool2dAttributes final : Attributes {
  std::array<std::int64_t, 2> kernel{2, 2};
  std::array<std::int64_t, 2> stride{2, 2};
  std::array<std::int64_t, 2> padding{};  ///< on both sides of height and width; at most half of the kernel
  bool ceil_mode = false;
  bool count_include_pad = true;
  Activation activation;  ///< for max_pool2d_backward
  Shape input_shape;      ///< for the backward ops
  std::string text() const override;
};

}  // namespace trainctl
