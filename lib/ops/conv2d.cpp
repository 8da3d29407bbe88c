#include "ops/conv2d.h"

#include <memory>

#include "ops/support.h"

namespace trainctl {

std::string Conv2dAttributes::text() const {
  std::string text = fmt::format("stride={}x{} dilation={}x{} padding={},{},{},{} groups={}", stride[0], stride[1],
                                 dilation[0], dilation[1], padding[0], padding[1], padding[2], padding[3], groups);
  if (bias) text += " bias";
  if (input_shape.rank()) text += " input=" + input_shape.text();
  if (weight_shape.rank()) text += " weight=" + weight_shape.text();
  if (activation) text += " " + activation.text();
  return text;
}

namespace {

/// Extent of the output along axis `a` (0 height, 1 width), or a config Error that says why there is none.
std::int64_t output_extent(const Conv2dAttributes& conv, const Shape& x, const Shape& w, int a) {
  const std::int64_t padded = x[2 + a] + conv.padding[a] + conv.padding[2 + a];
  const std::int64_t window = conv.dilation[a] * (w[2 + a] - 1) + 1;
  if (window > padded) {
    fail(ErrorKind::config,
         "conv2d: a {}x{} kernel with dilation {}x{} does not fit the padded input {}x{}; use a smaller kernel or more "
         "padding",
         w[2], w[3], conv.dilation[0], conv.dilation[1], x[2] + conv.padding[0] + conv.padding[2],
         x[3] + conv.padding[1] + conv.padding[3]);
  }
  return (padded - window) / conv.stride[a] + 1;
}

void expect_fitting(const Conv2dAttributes& conv, const Shape& x, const Shape& w) {
  require(w.rank() == 4, "conv2d: the weight must have four axes");
  if (x.rank() != 4)
    fail(ErrorKind::config, "conv2d: the input {} must have four axes (batch, channels, height, width)", x.text());
  if (conv.groups < 1 || x[1] % conv.groups || w[0] % conv.groups) {
    fail(ErrorKind::config, "conv2d: groups={} must divide both the {} input and the {} output channels", conv.groups,
         x[1], w[0]);
  }
  if (x[1] != w[1] * conv.groups) {
    fail(ErrorKind::config, "conv2d: the input {} has {} channels but the weight {} with groups={} takes {}", x.text(),
         x[1], w.text(), conv.groups, w[1] * conv.groups);
  }
}

/// Calls visit(y index, x index, w index) for each product of a convolution. Padding has no products.
template <typename Visit>
void for_each_product(const Conv2dAttributes& conv, const Shape& x, const Shape& w, const Shape& y, Visit visit) {
  const std::int64_t per_group = y[1] / conv.groups;
  const auto inner = [&](std::int64_t n, std::int64_t o, std::int64_t i, std::int64_t j) {
    const std::int64_t at = ((n * y[1] + o) * y[2] + i) * y[3] + j;
    for (std::int64_t c = 0; c < w[1]; ++c) {
      const std::int64_t channel = o / per_group * w[1] + c;
      for (std::int64_t r = 0; r < w[2]; ++r) {
        const std::int64_t row = i * conv.stride[0] + r * conv.dilation[0] - conv.padding[0];
        if (row < 0 || row >= x[2]) continue;
        for (std::int64_t s = 0; s < w[3]; ++s) {
          const std::int64_t column = j * conv.stride[1] + s * conv.dilation[1] - conv.padding[1];
          if (column < 0 || column >= x[3]) continue;
          visit(at, ((n * x[1] + channel) * x[2] + row) * x[3] + column, ((o * w[1] + c) * w[2] + r) * w[3] + s);
        }
      }
    }
  };
  for (std::int64_t n = 0; n < y[0]; ++n) {
    for (std::int64_t o = 0; o < y[1]; ++o) {
      for (std::int64_t i = 0; i < y[2]; ++i) {
        for (std::int64_t j = 0; j < y[3]; ++j) inner(n, o, i, j);
      }
    }
  }
}

double macs(const Shape& y, const Shape& w) {
  return static_cast<double>(y.elements()) * static_cast<double>(w[1] * w[2] * w[3]);
}

/// y = f(b + sum + x * w)
class Conv2d final : public Op {
 public:
  std::string_view name() const override { return "conv2d"; }
  Types infer(const Attributes& attributes, InputTypes inputs) const override {
    expect_operands(name(), inputs, 2, 4);
    const auto& conv = as<Conv2dAttributes>(attributes);
    const Shape &x = inputs[0]->shape, &w = inputs[1]->shape;
    expect_fitting(conv, x, w);
    expect_channels(name(), "bias", operand(inputs, 2), w[0]);
    const TensorType y{inputs[0]->dtype, {x[0], w[0], output_extent(conv, x, w, 0), output_extent(conv, x, w, 1)}};
    if (const TensorType* sum = operand(inputs, 3)) expect_same_type(name(), y, *sum);
    return {y};
  }
  Values vjp(Builder& builder, const VjpArguments& arguments) const override {
    const auto& conv = as<Conv2dAttributes>(arguments.attributes);
    require(!conv.activation && !operand(arguments.inputs, 3),
            "gradients come before fusion: conv2d must have no activation and no sum");
    const Value x = arguments.inputs[0], w = arguments.inputs[1], dy = arguments.cotangents[0];
    Values gradients(arguments.inputs.size());
    if (arguments.wanted[0]) {
      auto attributes = std::make_shared<Conv2dAttributes>(conv);
      attributes->input_shape = x.shape();
      gradients[0] = builder.apply1("conv2d_backward_data", attributes, {dy, w});
    }
    const bool bias = arguments.wanted.size() > 2 && arguments.wanted[2];
    if (arguments.wanted[1] || bias) {
      auto attributes = std::make_shared<Conv2dAttributes>(conv);
      attributes->weight_shape = w.shape();
      attributes->bias = bias;
      const Values results = builder.apply("conv2d_backward_weights", attributes, {x, dy});
      gradients[1] = results[0];
      if (bias) gradients[2] = results[1];
    }
    return gradients;
  }
  void reference(const Attributes& attributes, RefInputs inputs, RefOutputs outputs) const override {
    const auto& conv = as<Conv2dAttributes>(attributes);
    const RefTensor &x = *inputs[0], &w = *inputs[1];
    const RefTensor *b = operand(inputs, 2), *sum = operand(inputs, 3);
    RefTensor& y = outputs[0];
    for_each_product(conv, x.shape, w.shape, y.shape, [&](auto at, auto from, auto tap) { y[at] += x[from] * w[tap]; });
    const std::int64_t plane = y.shape[2] * y.shape[3];
    for (std::int64_t i = 0; i < y.size(); ++i) {
      y[i] = activate(conv.activation, y[i] + (b ? (*b)[i / plane % y.shape[1]] : 0.0) + (sum ? (*sum)[i] : 0.0));
    }
  }
  Cost cost(const Attributes&, InputTypes inputs, std::span<const TensorType> outputs) const override {
    return cost_with_flops(2.0 * macs(outputs[0].shape, inputs[1]->shape), inputs, outputs);
  }
};

/// dx from dy and w
class Conv2dBackwardData final : public Op {
 public:
  std::string_view name() const override { return "conv2d_backward_data"; }
  Types infer(const Attributes& attributes, InputTypes inputs) const override {
    expect_operands(name(), inputs, 2, 3);
    const auto& conv = as<Conv2dAttributes>(attributes);
    expect_fitting(conv, conv.input_shape, inputs[1]->shape);
    const TensorType dx_type{inputs[0]->dtype, conv.input_shape};
    expect_saved(name(), static_cast<bool>(conv.activation), operand(inputs, 2), dx_type);
    return {dx_type};
  }
  Values vjp(Builder& builder, const VjpArguments& arguments) const override {
    const auto& conv = as<Conv2dAttributes>(arguments.attributes);
    require(!conv.activation, "gradients come before fusion: conv2d_backward_data must have no activation");
    const Value dy = arguments.inputs[0], w = arguments.inputs[1], cotangent = arguments.cotangents[0];
    Conv2dAttributes forward = conv;
    forward.bias = false;
    forward.input_shape = {};
    Values gradients(arguments.inputs.size());
    if (arguments.wanted[0])
      gradients[0] = builder.apply1("conv2d", std::make_shared<Conv2dAttributes>(forward), {cotangent, w});
    if (arguments.wanted[1]) {
      forward.weight_shape = w.shape();
      gradients[1] =
          builder.apply1("conv2d_backward_weights", std::make_shared<Conv2dAttributes>(forward), {cotangent, dy});
    }
    return gradients;
  }
  void reference(const Attributes& attributes, RefInputs inputs, RefOutputs outputs) const override {
    const auto& conv = as<Conv2dAttributes>(attributes);
    const RefTensor &dy = *inputs[0], &w = *inputs[1];
    RefTensor& dx = outputs[0];
    for_each_product(conv, dx.shape, w.shape, dy.shape,
                     [&](auto at, auto from, auto tap) { dx[from] += dy[at] * w[tap]; });
    apply_slope(conv.activation, operand(inputs, 2), dx);
  }
  Cost cost(const Attributes&, InputTypes inputs, std::span<const TensorType> outputs) const override {
    return cost_with_flops(2.0 * macs(inputs[0]->shape, inputs[1]->shape), inputs, outputs);
  }
};

/// dw from x and dy, and db = sum of dy over all but channels
class Conv2dBackwardWeights final : public Op {
 public:
  std::string_view name() const override { return "conv2d_backward_weights"; }
  Types infer(const Attributes& attributes, InputTypes inputs) const override {
    expect_operands(name(), inputs, 2, 2);
    const auto& conv = as<Conv2dAttributes>(attributes);
    expect_fitting(conv, inputs[0]->shape, conv.weight_shape);
    Types types{{DType::f32, conv.weight_shape}};  // parameters are f32 whatever the activations are
    if (conv.bias) types.push_back({DType::f32, {conv.weight_shape[0]}});
    return types;
  }
  void reference(const Attributes& attributes, RefInputs inputs, RefOutputs outputs) const override {
    const auto& conv = as<Conv2dAttributes>(attributes);
    const RefTensor &x = *inputs[0], &dy = *inputs[1];
    RefTensor& dw = outputs[0];
    for_each_product(conv, x.shape, dw.shape, dy.shape,
                     [&](auto at, auto from, auto tap) { dw[tap] += dy[at] * x[from]; });
    if (outputs.size() < 2) return;
    const std::int64_t plane = dy.shape[2] * dy.shape[3];
    for (std::int64_t i = 0; i < dy.size(); ++i) outputs[1][i / plane % dy.shape[1]] += dy[i];
  }
  Cost cost(const Attributes& attributes, InputTypes inputs, std::span<const TensorType> outputs) const override {
    return cost_with_flops(2.0 * macs(inputs[1]->shape, as<Conv2dAttributes>(attributes).weight_shape), inputs,
                           outputs);
  }
};

const RegisterOp<Conv2d> conv2d;
const RegisterOp<Conv2dBackwardData> conv2d_backward_data;
const RegisterOp<Conv2dBackwardWeights> conv2d_backward_weights;

}  // namespace
}  // namespace trainctl
