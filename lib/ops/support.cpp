#include "ops/support.h"

#include <memory>

#include "graph/builtin.h"
#include "ops/linear.h"

namespace trainctl {

void expect_operands(std::string_view op, InputTypes inputs, std::size_t required, std::size_t most) {
  if (inputs.size() < required || inputs.size() > most) {
    fail(ErrorKind::internal, "{} takes {} to {} operands, not {}", op, required, most, inputs.size());
  }
  for (std::size_t i = 0; i < required; ++i) {
    if (!inputs[i]) fail(ErrorKind::internal, "{} needs its operand {}", op, i);
  }
}

void expect_same_type(std::string_view op, const TensorType& a, const TensorType& b) {
  if (a == b) return;
  fail(ErrorKind::config, "{}: the operands {} and {} differ; both must have the same shape and element type", op,
       a.text(), b.text());
}

void expect_channels(std::string_view op, std::string_view what, const TensorType* type, std::int64_t channels) {
  if (!type || (type->shape.rank() == 1 && type->shape[0] == channels)) return;
  fail(ErrorKind::config, "{}: the {} {} must have one element for each of the {} channels", op, what,
       type->shape.text(), channels);
}

void expect_scalar(std::string_view op, const TensorType* type, DType dtype) {
  if (!type || (type->shape.rank() == 0 && type->dtype == dtype)) return;
  fail(ErrorKind::internal, "{} needs a scalar of {} where {} is given", op, name(dtype), type->text());
}

void expect_saved(std::string_view op, bool activation, const TensorType* saved, const TensorType& dx) {
  require(activation == (saved != nullptr) && (!saved || *saved == dx),
          fmt::format("{}: what the activation saved does not fit", op).c_str());
}

void apply_slope(const Activation& activation, const RefTensor* saved, RefTensor& dx) {
  if (!saved) return;
  for (std::int64_t i = 0; i < dx.size(); ++i) dx[i] *= derivative_at_saved(activation, (*saved)[i]);
}

Cost cost_with_flops(double flops, InputTypes inputs, std::span<const TensorType> outputs) {
  Cost cost{.flops = flops};
  for (const TensorType* input : inputs) cost.bytes += input ? static_cast<double>(input->bytes()) : 0.0;
  for (const TensorType& output : outputs) cost.bytes += static_cast<double>(output.bytes());
  return cost;
}

AxisView::AxisView(const Shape& shape, int axis) {
  if (axis < 0) axis += shape.rank();
  for (int i = 0; i < axis; ++i) outer *= shape[i];
  extent = shape[axis];
  for (int i = axis + 1; i < shape.rank(); ++i) inner *= shape[i];
}

Value dot(Builder& builder, Value a, Value b) {
  const auto row = std::make_shared<ReshapeAttributes>(Shape{1, a.shape().elements()});
  const Value product = builder.apply1("linear", std::make_shared<LinearAttributes>(),
                                       {builder.apply1("reshape", row, {a}), builder.apply1("reshape", row, {b})});
  return builder.apply1("reshape", std::make_shared<ReshapeAttributes>(Shape{}), {product});
}

}  // namespace trainctl
