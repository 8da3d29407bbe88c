#pragma once

#include "kernels/cpu/dispatch.h"

namespace trainctl::cpu {

/// An output is (1 - share) of position `first` and `share` of `second`.
struct ResampleTap {
  int first, second;
  float share;
};

/// Row-major planes of height x width and out_height x out_width.
struct ResampleJob {
  long planes, height, width, out_height, out_width;
  const ResampleTap* rows;     ///< out_height
  const ResampleTap* columns;  ///< out_width
  bool bilinear;
  int threads;
};

TRAINCTL_LOOPS(
    /// (x) -> y
    void resample(const ResampleJob&, const Operands&);
    /// (dy) -> dx
    void resample_backward(const ResampleJob&, const Operands&);)

}  // namespace trainctl::cpu
