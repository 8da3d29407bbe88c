#include "ops/joining.h"

#include <memory>

#include "ops/support.h"

namespace trainctl {

std::string SliceAttributes::text() const {
  std::string text = fmt::format("axis={} {}:{}", axis, begin, end);
  if (input_shape.rank()) text += " input=" + input_shape.text();
  return text;
}

namespace {

void expect_axis(std::string_view op, int axis, const Shape& x) {
  if (axis < 0 || axis >= x.rank())
    fail(ErrorKind::config, "{}: there is no axis {} in {}, which has {} axes", op, axis, x.text(), x.rank());
}

/// Copies between a tensor and a piece [begin, begin + piece extent) of its axis. `joined` is the larger tensor.
template <typename Copy>
void for_each_in_piece(const Shape& joined, const Shape& piece, int axis, std::int64_t begin, Copy copy) {
  const AxisView whole(joined, axis), part(piece, axis);
  for (std::int64_t o = 0; o < part.outer; ++o) {
    for (std::int64_t k = 0; k < part.extent; ++k) {
      for (std::int64_t i = 0; i < part.inner; ++i) {
        copy((o * whole.extent + begin + k) * whole.inner + i, (o * part.extent + k) * part.inner + i);
      }
    }
  }
}

/// Inputs one behind the other along an axis
class Concat final : public Op {
 public:
  std::string_view name() const override { return "concat"; }
  Types infer(const Attributes& attributes, InputTypes inputs) const override {
    const int axis = as<ConcatAttributes>(attributes).axis;
    require(!inputs.empty() && inputs[0], "concat needs an operand");
    TensorType joined = *inputs[0];
    expect_axis(name(), axis, joined.shape);
    for (const TensorType* input : inputs.subspan(1)) {
      Shape expected = joined.shape;
      if (input->shape.rank() == expected.rank()) expected.set_dim(axis, input->shape[axis]);
      if (input->shape != expected || input->dtype != joined.dtype) {
        fail(ErrorKind::config, "concat: {} and {} cannot be joined along axis {}; all other extents must be equal",
             inputs[0]->text(), input->text(), axis);
      }
      joined.shape.set_dim(axis, joined.shape[axis] + input->shape[axis]);
    }
    return {joined};
  }
  Values vjp(Builder& builder, const VjpArguments& arguments) const override {
    const int axis = as<ConcatAttributes>(arguments.attributes).axis;
    Values gradients;
    std::int64_t begin = 0;
    for (std::size_t k = 0; k < arguments.inputs.size(); ++k) {
      auto attributes = std::make_shared<SliceAttributes>();
      attributes->axis = axis;
      attributes->begin = begin;
      attributes->end = begin += arguments.inputs[k].dim(axis);
      gradients.push_back(arguments.wanted[k] ? builder.apply1("slice", attributes, {arguments.cotangents[0]})
                                              : Value());
    }
    return gradients;
  }
  void reference(const Attributes& attributes, RefInputs inputs, RefOutputs outputs) const override {
    const int axis = as<ConcatAttributes>(attributes).axis;
    std::int64_t begin = 0;
    for (const RefTensor* input : inputs) {
      for_each_in_piece(outputs[0].shape, input->shape, axis, begin,
                        [&](auto whole, auto part) { outputs[0][whole] = (*input)[part]; });
      begin += input->shape[axis];
    }
  }
};

void expect_range(std::string_view op, const SliceAttributes& slice, const Shape& x) {
  expect_axis(op, slice.axis, x);
  if (slice.begin < 0 || slice.end <= slice.begin || slice.end > x[slice.axis]) {
    fail(ErrorKind::config, "{}: {}:{} is no range within axis {} of {}", op, slice.begin, slice.end, slice.axis,
         x.text());
  }
}

/// x[begin:end]
class Slice final : public Op {
 public:
  std::string_view name() const override { return "slice"; }
  Types infer(const Attributes& attributes, InputTypes inputs) const override {
    expect_operands(name(), inputs, 1, 1);
    const auto& slice = as<SliceAttributes>(attributes);
    expect_range(name(), slice, inputs[0]->shape);
    TensorType y = *inputs[0];
    y.shape.set_dim(slice.axis, slice.end - slice.begin);
    return {y};
  }
  Values vjp(Builder& builder, const VjpArguments& arguments) const override {
    auto attributes = std::make_shared<SliceAttributes>(as<SliceAttributes>(arguments.attributes));
    attributes->input_shape = arguments.inputs[0].shape();
    return {builder.apply1("slice_backward", attributes, {arguments.cotangents[0]})};
  }
  void reference(const Attributes& attributes, RefInputs inputs, RefOutputs outputs) const override {
    const auto& slice = as<SliceAttributes>(attributes);
    for_each_in_piece(inputs[0]->shape, outputs[0].shape, slice.axis, slice.begin,
                      [&](auto whole, auto part) { outputs[0][part] = (*inputs[0])[whole]; });
  }
};

/// dy at [begin, end), zero elsewhere
class SliceBackward final : public Op {
 public:
  std::string_view name() const override { return "slice_backward"; }
  Types infer(const Attributes& attributes, InputTypes inputs) const override {
    expect_operands(name(), inputs, 1, 1);
    const auto& slice = as<SliceAttributes>(attributes);
    expect_range(name(), slice, slice.input_shape);
    return {{inputs[0]->dtype, slice.input_shape}};
  }
  Values vjp(Builder& builder, const VjpArguments& arguments) const override {
    auto attributes = std::make_shared<SliceAttributes>(as<SliceAttributes>(arguments.attributes));
    attributes->input_shape = {};
    return {builder.apply1("slice", attributes, {arguments.cotangents[0]})};
  }
  void reference(const Attributes& attributes, RefInputs inputs, RefOutputs outputs) const override {
    const auto& slice = as<SliceAttributes>(attributes);
    for_each_in_piece(outputs[0].shape, inputs[0]->shape, slice.axis, slice.begin,
                      [&](auto whole, auto part) { outputs[0][whole] = (*inputs[0])[part]; });
  }
};

const RegisterOp<Concat> concat;
const RegisterOp<Slice> slice;
const RegisterOp<SliceBackward> slice_backward;

}  // namespace
}  // namespace trainctl
