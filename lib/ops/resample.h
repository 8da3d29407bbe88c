// Images made larger or smaller by interpolation.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "base/philox.h"
#include "device/attributes.h"
#include "device/types.h"

namespace trainctl {

/// "resample2d": (x (N, C, H, W)) -> y (N, C, OH, OW), (OH, OW) = `output`:
///   y[i,j] = sum over the taps (r, a) of row i and (s, b) of column j of a b x[r,s]
/// "resample2d_backward": (dy) -> dx of `input_shape`: each dx[r,s] sums its taps' shares of dy.
/// Taps of output i of O along an axis of extent E, by integers alone, so that all devices agree (as PyTorch's):
///   nearest    floor(i E / O)
///   bilinear   the two neighbours of p = max((i + 1/2) E / O - 1/2, 0), or, with align_corners, of
///              p = i (E - 1) / (O - 1), weighted by their nearness; a neighbour beyond the border is the border
struct Resample2dAttributes final : Attributes {
  std::array<std::int64_t, 2> output{};
  bool bilinear = false;
  bool align_corners = false;
  Shape input_shape;  ///< for resample2d_backward
  std::string text() const override;
};

/// One axis: `extent` numbers become `outputs`. The product of the two is below 2^29.
struct ResampleAxis {
  int extent = 1;
  int outputs = 1;
  bool bilinear = false;
  bool align_corners = false;
};

/// Output i is (1 - share / whole) x[first] + share / whole x[second].
struct ResampleTaps {
  int first, second;
  int share, whole;
};

TRAINCTL_HOST_DEVICE constexpr ResampleTaps resample_taps(const ResampleAxis& axis, int i) {
  int numerator = 0, whole = 1;
  if (!axis.bilinear) {
    const int at = i * axis.extent / axis.outputs;
    return {at, at, 0, 1};
  }
  if (axis.align_corners) {
    numerator = i * (axis.extent - 1);
    whole = axis.outputs > 1 ? axis.outputs - 1 : 1;
  } else {
    numerator = (2 * i + 1) * axis.extent - axis.outputs;
    whole = 2 * axis.outputs;
  }
  if (numerator < 0) numerator = 0;
  const int first = numerator / whole;
  return {first, first + 1 < axis.extent ? first + 1 : axis.extent - 1, numerator - first * whole, whole};
}

/// Outputs [first, end) are all that have position `at` among their taps; some of them may not.
struct ResampleSpan {
  int first, end;
};

TRAINCTL_HOST_DEVICE constexpr ResampleSpan resample_span(const ResampleAxis& axis, int at) {
  const int extent = axis.extent, outputs = axis.outputs;
  int first = 0, end = outputs;
  if (!axis.bilinear) {
    first = at * outputs / extent;
    end = (at + 1) * outputs / extent + 1;
  } else if (axis.align_corners) {
    if (extent > 1) {
      first = at > 0 ? (at - 1) * (outputs - 1) / (extent - 1) : 0;
      end = (at + 1) * (outputs - 1) / (extent - 1) + 1;
    }
  } else {
    const int before = (2 * at - 1) * outputs - extent;
    first = before > 0 ? before / (2 * extent) : 0;
    end = ((2 * at + 3) * outputs - extent) / (2 * extent) + 2;
  }
  return {first, end < outputs ? (end > first ? end : first) : outputs};
}

/// Rows (0) or columns (1) of images `x` that become `output`.
inline ResampleAxis resample_axis(const Resample2dAttributes& attributes, const Shape& x, int a) {
  return {static_cast<int>(x[2 + a]), static_cast<int>(attributes.output[a]), attributes.bilinear,
          attributes.align_corners};
}

}  // namespace trainctl
