// Elementwise activations, alone and as part of other ops.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "device/attributes.h"

namespace trainctl {

/// y = f(x), elementwise. `alpha` >= 0 is leaky_relu's slope, elu's scale and softplus' beta.
///   relu        max(x, 0)                     leaky_relu  x if x > 0 else alpha x
///   elu         x if x > 0 else alpha (e^x - 1)
///   gelu        x Phi(x), by erf (Hendrycks & Gimpel, 2016)      gelu_tanh  its tanh approximation
///   silu        x sigmoid(x)    sigmoid  1 / (1 + e^-x)    tanh  tanh(x)
///   hardswish   x min(max(x + 3, 0), 6) / 6   softplus  log(1 + e^(alpha x)) / alpha
struct Activation {
  enum class Kind : std::uint8_t {
    none,
    relu,
    leaky_relu,
    elu,
    gelu,
    gelu_tanh,
    silu,
    sigmoid,
    tanh,
    hardswish,
    softplus
  };
  Kind kind = Kind::none;
  double alpha = 0.0;

  explicit operator bool() const { return kind != Kind::none; }
  /// Whether the derivative is a function of the output (else it needs the input): all but gelu, gelu_tanh, silu and
  /// hardswish, which are not monotone.
  bool derivative_from_output() const {
    return kind != Kind::gelu && kind != Kind::gelu_tanh && kind != Kind::silu && kind != Kind::hardswish;
  }
  /// Whether f(0) = 0, so that the padding of a blocked layout stays zero.
  bool keeps_zero() const { return kind != Kind::sigmoid && kind != Kind::softplus; }
  std::string text() const;
  friend bool operator==(const Activation&, const Activation&) = default;
};

/// f(x) and f'(x) in float64.
double activate(const Activation& activation, double x);
double derivative(const Activation& activation, double x);
/// f'(x) from y = f(x), where derivative_from_output() holds.
double derivative_at_output(const Activation& activation, double y);

/// f'(x) from what a gradient keeps: y if derivative_from_output() holds, else x.
double derivative_at_saved(const Activation& activation, double saved);

/// "activation": (x) -> y.   "activation_backward": (dy, saved) -> dx, where saved is y if derivative_from_output(),
/// else x.
struct ActivationAttributes final : Attributes {
  Activation activation;
  explicit ActivationAttributes(Activation a) : activation(a) {}
  std::string text() const override { return activation.text(); }
};

}  // namespace trainctl
