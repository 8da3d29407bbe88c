#pragma once

#include "kernels/cpu/dispatch.h"

namespace trainctl::cpu {

/// Planes of rows of `lanes` interleaved numbers: element (plane, i, j, lane) is at ((plane * height + i) * width + j)
/// * lanes + lane. Row-major images have one lane, channels last C, blocks their block.
struct PoolJob {
  long planes, lanes;
  long height, width;  ///< of x
  long out_height, out_width;
  long kernel_height, kernel_width;
  long stride_height, stride_width;
  long pad_height, pad_width;
  long bins_height, bins_width;  ///< windows of adaptive pooling, or 0
  bool count_include_pad;
  bool wide_index;  ///< i32, else u8
  /// Lanes from `valid` on are padding in the last `tail` of every `cycle` planes.
  long valid, cycle, tail;
  int threads;
};

TRAINCTL_LOOPS(
    /// (x) -> y, index
    void max_pool(const PoolJob&, const Operands&);
    /// (dy, index) -> dx
    void max_pool_backward(const PoolJob&, const Operands&);
    /// (x) -> y
    void avg_pool(const PoolJob&, const Operands&);
    /// (dy) -> dx
    void avg_pool_backward(const PoolJob&, const Operands&);)

}  // namespace trainctl::cpu
