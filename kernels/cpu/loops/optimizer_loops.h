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

struct AdagradJob {
  long count;
  int threads;
  double lr_decay, eps;
};

struct AdadeltaJob {
  long count;
  int threads;
  double rho, eps;
};

struct LionJob {
  long count;
  int threads;
  double beta1, beta2;
};

/// lamb_direction.
struct LambJob {
  long count;
  int threads;
  double beta1, beta2, eps;
};

/// trust_step. Tensors are cut into runs of trust_block elements, whose norms are added in order; the workspace holds
/// two doubles for each of as many runs as there can be.
constexpr long trust_block = 4096;
struct TrustJob {
  long tensors;
  int threads;
};

TRAINCTL_LOOPS(
    /// Operands as in ops/optimizer.h.
    void sgd(const SgdJob&, const Operands&); void adam(const AdamJob&, const Operands&);
    void rmsprop(const RmsPropJob&, const Operands&); void adagrad(const AdagradJob&, const Operands&);
    void adadelta(const AdadeltaJob&, const Operands&); void lion(const LionJob&, const Operands&);
    void lamb_direction(const LambJob&, const Operands&); void trust_step(const TrustJob&, const Operands&);)

}  // namespace trainctl::cpu
