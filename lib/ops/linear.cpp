#include "ops/linear.h"

#include <algorithm>
#include <memory>

#include "ops/support.h"

namespace trainctl {
namespace {

/// Rows of a tensor seen as a matrix of its last axis.
std::int64_t rows_of(const Shape& shape) {
  return shape.elements() / std::max<std::int64_t>(1, shape.dim(-1));
}

Shape with_last(Shape shape, std::int64_t extent) {
  shape.set_dim(-1, extent);
  return shape;
}

/// y = f(x w^T + b)
class Linear final : public Op {
 public:
  std::string_view name() const override { return "linear"; }
  Types infer(const Attributes&, InputTypes inputs) const override {
    expect_operands(name(), inputs, 2, 3);
    const Shape& x = inputs[0]->shape;
    const Shape& w = inputs[1]->shape;
    require(w.rank() == 2, "linear: the weight must have two axes");
    if (x.rank() == 0) fail(ErrorKind::config, "linear: the input is a scalar; it takes tensors of at least one axis");
    if (x.dim(-1) != w[1]) {
      fail(ErrorKind::config, "linear: the input {} has {} features in its last axis but the weight {} takes {}{}",
           x.text(), x.dim(-1), w.text(), w[1], x.rank() > 2 ? "; put a flatten layer before it" : "");
    }
    expect_channels(name(), "bias", operand(inputs, 2), w[0]);
    return {{inputs[0]->dtype, with_last(x, w[0])}};
  }
  Values vjp(Builder& builder, const VjpArguments& arguments) const override {
    require(!as<LinearAttributes>(arguments.attributes).activation,
            "gradients come before fusion: linear must have no activation");
    const Value dy = arguments.cotangents[0];
    Values gradients(arguments.inputs.size());
    if (arguments.wanted[0]) {
      gradients[0] =
          builder.apply1("linear_backward_data", std::make_shared<LinearAttributes>(), {dy, arguments.inputs[1]});
    }
    const bool bias = arguments.wanted.size() > 2 && arguments.wanted[2];
    if (arguments.wanted[1] || bias) {
      auto attributes = std::make_shared<LinearAttributes>();
      attributes->bias = bias;
      const Values results = builder.apply("linear_backward_weights", attributes, {arguments.inputs[0], dy});
      gradients[1] = results[0];
      if (bias) gradients[2] = results[1];
    }
    return gradients;
  }
  void reference(const Attributes& attributes, RefInputs inputs, RefOutputs outputs) const override {
    const Activation& f = as<LinearAttributes>(attributes).activation;
    const RefTensor &x = *inputs[0], &w = *inputs[1];
    const RefTensor* b = operand(inputs, 2);
    const std::int64_t n = w.shape[0], k = w.shape[1];
    for (std::int64_t row = 0; row < rows_of(x.shape); ++row) {
      for (std::int64_t j = 0; j < n; ++j) {
        double sum = b ? (*b)[j] : 0.0;
        for (std::int64_t i = 0; i < k; ++i) sum += x[row * k + i] * w[j * k + i];
        outputs[0][row * n + j] = activate(f, sum);
      }
    }
  }
  Cost cost(const Attributes&, InputTypes inputs, std::span<const TensorType> outputs) const override {
    return cost_with_flops(2.0 * static_cast<double>(outputs[0].elements() * inputs[1]->shape[1]), inputs, outputs);
  }
};

/// dx = dy w
class LinearBackwardData final : public Op {
 public:
  std::string_view name() const override { return "linear_backward_data"; }
  Types infer(const Attributes& attributes, InputTypes inputs) const override {
    expect_operands(name(), inputs, 2, 3);
    require(inputs[1]->shape.rank() == 2 && inputs[0]->shape.dim(-1) == inputs[1]->shape[0],
            "linear_backward_data: dy and the weight do not fit");
    const TensorType dx{inputs[0]->dtype, with_last(inputs[0]->shape, inputs[1]->shape[1])};
    expect_saved(name(), static_cast<bool>(as<LinearAttributes>(attributes).activation), operand(inputs, 2), dx);
    return {dx};
  }
  void reference(const Attributes& attributes, RefInputs inputs, RefOutputs outputs) const override {
    const RefTensor &dy = *inputs[0], &w = *inputs[1];
    const std::int64_t n = w.shape[0], k = w.shape[1];
    for (std::int64_t row = 0; row < rows_of(dy.shape); ++row) {
      for (std::int64_t j = 0; j < n; ++j) {
        for (std::int64_t i = 0; i < k; ++i) outputs[0][row * k + i] += dy[row * n + j] * w[j * k + i];
      }
    }
    apply_slope(as<LinearAttributes>(attributes).activation, operand(inputs, 2), outputs[0]);
  }
  Cost cost(const Attributes&, InputTypes inputs, std::span<const TensorType> outputs) const override {
    return cost_with_flops(2.0 * static_cast<double>(outputs[0].elements() * inputs[1]->shape[0]), inputs, outputs);
  }
};

/// dw = dy^T x, db = sum of dy over rows
class LinearBackwardWeights final : public Op {
 public:
  std::string_view name() const override { return "linear_backward_weights"; }
  Types infer(const Attributes& attributes, InputTypes inputs) const override {
    expect_operands(name(), inputs, 2, 2);
    const Shape &x = inputs[0]->shape, &dy = inputs[1]->shape;
    require(rows_of(x) == rows_of(dy), "linear_backward_weights: x and dy differ in rows");
    Types types{{DType::f32, {dy.dim(-1), x.dim(-1)}}};  // parameters are f32 whatever the activations are
    if (as<LinearAttributes>(attributes).bias) types.push_back({DType::f32, {dy.dim(-1)}});
    return types;
  }
  void reference(const Attributes&, RefInputs inputs, RefOutputs outputs) const override {
    const RefTensor &x = *inputs[0], &dy = *inputs[1];
    const std::int64_t n = dy.shape.dim(-1), k = x.shape.dim(-1);
    for (std::int64_t row = 0; row < rows_of(x.shape); ++row) {
      for (std::int64_t j = 0; j < n; ++j) {
        for (std::int64_t i = 0; i < k; ++i) outputs[0][j * k + i] += dy[row * n + j] * x[row * k + i];
        if (outputs.size() > 1) outputs[1][j] += dy[row * n + j];
      }
    }
  }
  Cost cost(const Attributes&, InputTypes inputs, std::span<const TensorType> outputs) const override {
    return cost_with_flops(2.0 * static_cast<double>(outputs[0].elements() * rows_of(inputs[0]->shape)), inputs,
                           outputs);
  }
};

const RegisterOp<Linear> linear;
const RegisterOp<LinearBackwardData> linear_backward_data;
const RegisterOp<LinearBackwardWeights> linear_backward_weights;

}  // namespace
}  // namespace trainctl
