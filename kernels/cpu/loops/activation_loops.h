#pragma once

#include "kernels/cpu/dispatch.h"

namespace trainctl::cpu {

/// Activation::Kind, number for number.
enum class Curve : int { none, relu, leaky_relu, elu, gelu, gelu_tanh, silu, sigmoid, tanh, hardswish, softplus };

struct ActivationJob {
  Curve curve;
  float alpha;
  long count;
  int threads;
};

TRAINCTL_LOOPS(
    /// (x) -> y
    void activation(const ActivationJob&, const Operands&);
    /// (dy, saved) -> dx
    void activation_backward(const ActivationJob&, const Operands&);
    /// (a, b) -> f(a + b)
    void add(const ActivationJob&, const Operands&);)

}  // namespace trainctl::cpu
