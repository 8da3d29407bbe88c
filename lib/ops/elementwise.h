// Arithmetic between tensors of one shape, and small helpers on scalars and integers.
#pragma once

#include <cstdint>
#include <string>

#include "device/attributes.h"
#include "device/types.h"
#include "ops/activation.h"

namespace trainctl {

/// "add": (a, b) -> f(a + b), same shapes; null attributes mean no activation (which fusion sets).
/// "multiply": (a, b) -> a b, same shapes.
/// "scale": (x, s scalar) -> s x.
/// "channel_affine": (x (N, C, ...), gamma (C), beta (C)) -> gamma x + beta along axis 1.
struct AddAttributes final : Attributes {
  Activation activation;
  explicit AddAttributes(Activation a = {}) : activation(a) {}
  std::string text() const override { return activation ? activation.text() : ""; }
};

/// "increment": (n_1 i64, ...) -> n_1 + 1, ...
/// "reciprocal": (s f32 scalar) -> 1 / s. No gradient flows through it: it is for numbers that a policy drives.
/// "is_finite": (scalars of f32 or f64...) -> i32 1 if all are finite, else 0.
/// "select": (flag i32 scalar, a_1, ..., a_n, b_1, ..., b_n, each of its a's type) -> all a if the flag is not 0, else
/// all b, to the bit.
/// "clamp": (x) -> min(max(x, -limit), limit); limit is an f32 scalar input: (x, limit).

/// "power": (x) -> x^exponent where x > 0, else 0: negative exponents and fractions of them stay finite.
struct PowerAttributes final : Attributes {
  double exponent = 1.0;
  explicit PowerAttributes(double e) : exponent(e) {}
  std::string text() const override;
};

/// "cast": (x of a floating type) -> x rounded to `to`. Its vjp casts back.
struct CastAttributes final : Attributes {
  DType to = DType::f32;
  explicit CastAttributes(DType t) : to(t) {}
  std::string text() const override { return std::string(name(to)); }
};

/// "dropout": (x, p scalar f32, step scalar i64) -> x m / (1 - p), m[i] = 1 with probability 1 - p, where
///   dropout_uniform(stream, step, i) >= p in float32 (ops/random.h): with key = stream and counter = {low32(step),
///   high32(step), low32(i/4), high32(i/4)}, word i%4 of Philox4x32-10, (word >> 8) * 2^-24. i counts elements in
///   row-major order, whatever the layout. p = 1 gives zeros (Srivastava et al., 2014). Its vjp is itself, applied to
///   dy.
struct DropoutAttributes final : Attributes {
  std::uint64_t stream = 0;
  explicit DropoutAttributes(std::uint64_t s) : stream(s) {}
  std::string text() const override { return "stream=" + std::to_string(stream); }
};

}  // namespace trainctl
