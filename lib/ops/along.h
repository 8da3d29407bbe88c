// Sums over some axes of a tensor, and products with numbers that belong to the others.
#pragma once

#include <string>

#include "device/attributes.h"
#include "device/types.h"

namespace trainctl {

/// Of a tensor's axes, those in [begin, end) are kept: each of their places k has a slice x_k of the tensor.
/// "dot_along": (a, b like a or left out) -> y over the kept axes: y[k] = sum of a_k b_k, or of a_k.
/// "scale_along": (s over the kept axes, x or left out) -> y of `shape`: y_k = s[k] x_k, or s[k] everywhere.
/// All operands have one floating type. Each is the other's gradient.
struct AlongAttributes final : Attributes {
  int begin = 0;
  int end = 1;
  Shape shape;  ///< of the whole tensor
  AlongAttributes(Shape shape_, int begin_, int end_) : begin(begin_), end(end_), shape(shape_) {}
  std::string text() const override;

  Shape kept() const { return shape.slice(begin, end); }
  std::int64_t outer() const { return shape.slice(0, begin).elements(); }
  std::int64_t inner() const { return shape.slice(end).elements(); }
};

/// "one_hot": (index (N, ...) i64 or i32) -> f32 (N, C, ...), C = `classes`: 1 where axis 1 equals the index, else 0;
/// NaN for an index outside of [0, C).
struct OneHotAttributes final : Attributes {
  std::int64_t classes = 1;
  explicit OneHotAttributes(std::int64_t c) : classes(c) {}
  std::string text() const override { return "classes=" + std::to_string(classes); }
};

}  // namespace trainctl
