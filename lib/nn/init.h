// Initialisers: what parameters start from.
#pragma once

#include "graph/state.h"
#include "schema/schema.h"

namespace trainctl {

/// The connections of a layer's weights: of w (out, in, k...), fan_in = in * k... and fan_out = out * k..., as PyTorch
/// counts them. A bias has those of the weights beside it.
struct Fans {
  double in = 1.0;
  double out = 1.0;
  /// Of weights of that shape; the first two axes are (out, in).
  static Fans of(const Shape& weight);
};

/// An initialiser of one tensor. One file, or tight family, each in lib/nn/inits.
struct Initializer {
  static constexpr const char* kind = "init";
  virtual ~Initializer() = default;
  /// The distribution that every element is drawn from.
  virtual Init init(const Fans& fans) const = 0;
};

}  // namespace trainctl
