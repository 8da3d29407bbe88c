#include "ops/along.h"

#include <cmath>
#include <memory>

#include "ops/support.h"

namespace trainctl {

std::string AlongAttributes::text() const {
  return fmt::format("{} keeps {}:{}", shape.text(), begin, end);
}

namespace {

const AlongAttributes& along_of(std::string_view op, const Attributes& attributes) {
  const auto& along = as<AlongAttributes>(attributes);
  require(0 <= along.begin && along.begin <= along.end && along.end <= along.shape.rank(),
          fmt::format("{}: there are no axes [{}, {})", op, along.begin, along.end).c_str());
  return along;
}

/// Calls visit(place among the kept axes, element) for each element of the tensor.
template <typename Visit>
void for_each_element(const AlongAttributes& along, Visit visit) {
  const std::int64_t kept = along.kept().elements(), inner = along.inner(), count = along.shape.elements();
  for (std::int64_t i = 0; i < count; ++i) visit(i / inner % kept, i);
}

/// y[k] = sum of a_k b_k
class DotAlong final : public Op {
 public:
  std::string_view name() const override { return "dot_along"; }
  Types infer(const Attributes& attributes, InputTypes inputs) const override {
    expect_operands(name(), inputs, 1, 2);
    const AlongAttributes& along = along_of(name(), attributes);
    require(inputs[0]->shape == along.shape, "dot_along: the operand has another shape");
    if (const TensorType* b = operand(inputs, 1)) expect_same_type(name(), *inputs[0], *b);
    return {{inputs[0]->dtype, along.kept()}};
  }
  Values vjp(Builder& builder, const VjpArguments& arguments) const override {
    const auto attributes = std::make_shared<AlongAttributes>(as<AlongAttributes>(arguments.attributes));
    const Value a = arguments.inputs[0], b = operand(arguments.inputs, 1), dy = arguments.cotangents[0];
    Values gradients(arguments.inputs.size());
    if (arguments.wanted[0]) gradients[0] = builder.apply1("scale_along", attributes, {dy, b});
    if (b && arguments.wanted[1]) gradients[1] = builder.apply1("scale_along", attributes, {dy, a});
    return gradients;
  }
  void reference(const Attributes& attributes, RefInputs inputs, RefOutputs outputs) const override {
    const RefTensor &a = *inputs[0], *b = operand(inputs, 1);
    for_each_element(as<AlongAttributes>(attributes),
                     [&](auto k, auto i) { outputs[0][k] += a[i] * (b ? (*b)[i] : 1.0); });
  }
  Cost cost(const Attributes&, InputTypes inputs, std::span<const TensorType> outputs) const override {
    return cost_with_flops(2.0 * static_cast<double>(inputs[0]->elements()), inputs, outputs);
  }
};

/// y_k = s[k] x_k
class ScaleAlong final : public Op {
 public:
  std::string_view name() const override { return "scale_along"; }
  Types infer(const Attributes& attributes, InputTypes inputs) const override {
    expect_operands(name(), inputs, 1, 2);
    const AlongAttributes& along = along_of(name(), attributes);
    require(inputs[0]->shape == along.kept(), "scale_along: the factors do not fit");
    const TensorType y{inputs[0]->dtype, along.shape};
    if (const TensorType* x = operand(inputs, 1)) expect_same_type(name(), y, *x);
    return {y};
  }
  Values vjp(Builder& builder, const VjpArguments& arguments) const override {
    const auto attributes = std::make_shared<AlongAttributes>(as<AlongAttributes>(arguments.attributes));
    const Value s = arguments.inputs[0], x = operand(arguments.inputs, 1), dy = arguments.cotangents[0];
    Values gradients(arguments.inputs.size());
    if (arguments.wanted[0]) gradients[0] = builder.apply1("dot_along", attributes, {dy, x});
    if (x && arguments.wanted[1]) gradients[1] = builder.apply1("scale_along", attributes, {s, dy});
    return gradients;
  }
  void reference(const Attributes& attributes, RefInputs inputs, RefOutputs outputs) const override {
    const RefTensor &s = *inputs[0], *x = operand(inputs, 1);
    for_each_element(as<AlongAttributes>(attributes),
                     [&](auto k, auto i) { outputs[0][i] = s[k] * (x ? (*x)[i] : 1.0); });
  }
  Cost cost(const Attributes&, InputTypes inputs, std::span<const TensorType> outputs) const override {
    return cost_with_flops(static_cast<double>(outputs[0].elements()), inputs, outputs);
  }
};

/// 1 at the class, else 0
class OneHot final : public Op {
 public:
  std::string_view name() const override { return "one_hot"; }
  Types infer(const Attributes& attributes, InputTypes inputs) const override {
    expect_operands(name(), inputs, 1, 1);
    const TensorType& index = *inputs[0];
    if (index.dtype != DType::i64 && index.dtype != DType::i32)
      fail(ErrorKind::config, "one_hot: class numbers are i32 or i64, not {}", trainctl::name(index.dtype));
    require(index.shape.rank() >= 1 && index.shape.rank() < Shape::max_rank, "one_hot: the index has no batch axis");
    Shape y{index.shape[0], as<OneHotAttributes>(attributes).classes};
    for (int axis = 1; axis < index.shape.rank(); ++axis) y.push_back(index.shape[axis]);
    return {{DType::f32, y}};
  }
  void reference(const Attributes&, RefInputs inputs, RefOutputs outputs) const override {
    const RefTensor& index = *inputs[0];
    const AxisView view(outputs[0].shape, 1);
    for (std::int64_t i = 0; i < outputs[0].size(); ++i) {
      const std::int64_t c = i / view.inner % view.extent;
      const double wanted = index[i / (view.inner * view.extent) * view.inner + i % view.inner];
      const bool known = wanted >= 0 && wanted < static_cast<double>(view.extent);
      outputs[0][i] = !known ? NAN : wanted == static_cast<double>(c) ? 1.0 : 0.0;
    }
  }
};

const RegisterOp<DotAlong> dot_along;
const RegisterOp<ScaleAlong> scale_along;
const RegisterOp<OneHot> one_hot;

}  // namespace
}  // namespace trainctl
