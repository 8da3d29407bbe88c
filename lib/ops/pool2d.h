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
/// With `bins` the windows are instead what adaptive pooling cuts an axis of extent E into, B of them: window i is
/// [floor(i E / B), ceil((i + 1) E / B)), so windows differ in size by one and may share a row. `kernel` is then the
/// largest of them, and stride, padding and the flags mean nothing.
struct Pool2dAttributes final : Attributes {
  std::array<std::int64_t, 2> kernel{2, 2};
  std::array<std::int64_t, 2> stride{2, 2};
  std::array<std::int64_t, 2> padding{};  ///< on both sides of height and width; at most half of the kernel
  bool ceil_mode = false;
  bool count_include_pad = true;
  std::array<std::int64_t, 2> bins{};  ///< 0: plain windows
  Activation activation;               ///< for max_pool2d_backward
  Shape input_shape;                   ///< for the backward ops
  std::string text() const override;

  /// Windows that make an image of `height` x `width` into one of `output`: plain ones where they come out even.
  static Pool2dAttributes adaptive(std::int64_t height, std::int64_t width, std::array<std::int64_t, 2> output);
  bool is_adaptive() const { return bins[0] != 0; }
};

/// A window of adaptive pooling along one axis, [begin, end): window `i` of `bins` over `extent`.
struct PoolBin {
  std::int64_t begin, end;
};
constexpr PoolBin pool_bin(std::int64_t i, std::int64_t extent, std::int64_t bins) {
  return {i * extent / bins, ((i + 1) * extent + bins - 1) / bins};
}

}  // namespace trainctl
