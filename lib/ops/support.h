// Small helpers that the op files share.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "device/types.h"
#include "graph/builder.h"
#include "graph/op.h"
#include "ops/activation.h"

namespace trainctl {

using Types = std::vector<TensorType>;
using RefInputs = std::span<const RefTensor* const>;
using RefOutputs = std::span<RefTensor>;

/// Operand `i`, or null where it is left out or the list ends before it.
template <typename T>
const T* operand(std::span<const T* const> inputs, std::size_t i) {
  return i < inputs.size() ? inputs[i] : nullptr;
}

/// The same for the values of a vjp.
inline Value operand(std::span<const Value> values, std::size_t i) {
  return i < values.size() ? values[i] : Value();
}

/// An internal Error unless the first `required` operands are there and there are at most `most`.
void expect_operands(std::string_view op, InputTypes inputs, std::size_t required, std::size_t most);
/// A config Error unless both have one type.
void expect_same_type(std::string_view op, const TensorType& a, const TensorType& b);
/// A config Error unless `type` is a vector of `channels` elements; null is fine.
void expect_channels(std::string_view op, std::string_view what, const TensorType* type, std::int64_t channels);
/// An internal Error unless the operand is a scalar of that type; null is fine.
void expect_scalar(std::string_view op, const TensorType* type, DType dtype = DType::f32);

/// The operand `saved` of a backward op with a fused activation: there if and only if there is one, and of dx's type.
void expect_saved(std::string_view op, bool activation, const TensorType* saved, const TensorType& dx);

/// The default cost with `flops` operations.
Cost cost_with_flops(double flops, InputTypes inputs, std::span<const TensorType> outputs);

/// A shape seen from one of its axes: element (o, k, i) is at (o * extent + k) * inner + i.
struct AxisView {
  std::int64_t outer = 1;
  std::int64_t extent = 1;
  std::int64_t inner = 1;
  AxisView(const Shape& shape, int axis);
};

/// The operand's number, or `otherwise` where it is left out.
inline double scalar_or(const RefTensor* tensor, double otherwise) {
  return tensor ? tensor->data[0] : otherwise;
}

/// dx *= f'(saved), elementwise; nothing without `saved`.
void apply_slope(const Activation& activation, const RefTensor* saved, RefTensor& dx);

/// sum of a[i] b[i] as a scalar value, for tensors of one shape.
Value dot(Builder& builder, Value a, Value b);

}  // namespace trainctl
