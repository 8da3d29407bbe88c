#pragma once

#include "kernels/cpu/dispatch.h"

namespace trainctl::cpu {

struct SgdJob {
  long count;
  int threads;
  bool nesterov;
};

struct AdamJob {
  long count;
  int threads;
  double beta1, beta2, eps;
  bool decoupled;
};

struct RmsPropJob {
  long count;
  int threads;
  double alpha, eps;
};

TRAINCTL_LOOPS(
    /// Operands as in ops/optimizer.h.
    void sgd(const SgdJob&, const Operands&); void adam(const AdamJob&, const Operands&);
    void rmsprop(const RmsPropJob&, const Operands&);)

}  // namespace trainctl::cpu
