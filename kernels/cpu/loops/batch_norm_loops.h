#pragma once

#include "kernels/cpu/dispatch.h"
#include "kernels/cpu/loops/channel_view.h"

namespace trainctl::cpu {

struct BatchNormJob {
  ChannelView view;
  double eps;
  bool relu;
};

TRAINCTL_LOOPS(
    /// Operands as in ops/norm.h.
    void batch_norm(const BatchNormJob&, const Operands&);
    void batch_norm_backward(const BatchNormJob&, const Operands&);
    void batch_norm_inference(const BatchNormJob&, const Operands&);
    /// (x, gamma, beta) -> gamma x + beta
    void channel_affine(const BatchNormJob&, const Operands&);)

}  // namespace trainctl::cpu
