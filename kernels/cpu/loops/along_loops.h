#pragma once

#include "kernels/cpu/dispatch.h"

namespace trainctl::cpu {

/// A tensor as (outer, kept, inner), row-major.
struct AlongJob {
  long outer, kept, inner;
  int threads;
};

struct OneHotJob {
  long outer, classes, inner;
  bool wide_labels;  ///< i64, else i32
  int threads;
};

TRAINCTL_LOOPS(
    /// (a, b or left out) -> y (kept)
    void dot_along(const AlongJob&, const Operands&);
    /// (s (kept), x or left out) -> y
    void scale_along(const AlongJob&, const Operands&);
    /// (index (outer, inner)) -> y (outer, classes, inner)
    void one_hot(const OneHotJob&, const Operands&);)

}  // namespace trainctl::cpu
