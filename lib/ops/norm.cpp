#include "ops/norm.h"

#include <fmt/ranges.h>

#include <cmath>
#include <memory>

#include "ops/support.h"

namespace trainctl {

std::string LayerNormAttributes::text() const {
  return fmt::format("axes={} eps={}{}", axes, eps, affine ? " affine" : "");
}

std::string MovingAverageAttributes::text() const {
  return fmt::format("rate={} scale={}", rate, fmt::join(scales, ","));
}

namespace {

Shape leading(const LayerNormAttributes& attributes, const Shape& x) {
  return x.slice(0, x.rank() - attributes.axes);
}
Shape normalized(const LayerNormAttributes& attributes, const Shape& x) {
  return x.slice(x.rank() - attributes.axes);
}

void expect_normalizable(std::string_view op, const LayerNormAttributes& attributes, const Shape& x,
                         const TensorType* gamma, const TensorType* beta) {
  if (attributes.axes < 1 || attributes.axes > x.rank()) {
    fail(ErrorKind::config, "{}: cannot normalise the last {} axes of the input {}", op, attributes.axes, x.text());
  }
  for (const TensorType* parameter : {gamma, beta}) {
    if (parameter && parameter->shape != normalized(attributes, x)) {
      fail(ErrorKind::config,
           "{}: the input {} ends in {} but the scale and shift are {}; normalized_shape must equal the last axes", op,
           x.text(), normalized(attributes, x).text(), parameter->shape.text());
    }
  }
}

/// y = gamma (x - mean) rstd + beta
class LayerNorm final : public Op {
 public:
  std::string_view name() const override { return "layer_norm"; }
  Types infer(const Attributes& attributes, InputTypes inputs) const override {
    expect_operands(name(), inputs, 1, 3);
    const auto& own = as<LayerNormAttributes>(attributes);
    const TensorType& x = *inputs[0];
    expect_normalizable(name(), own, x.shape, operand(inputs, 1), operand(inputs, 2));
    const TensorType statistics{DType::f32, leading(own, x.shape)};
    return {x, statistics, statistics};
  }
  Values vjp(Builder& builder, const VjpArguments& arguments) const override {
    Values gradients(arguments.inputs.size());
    if (!arguments.cotangents[0]) return gradients;
    auto attributes = std::make_shared<LayerNormAttributes>(as<LayerNormAttributes>(arguments.attributes));
    const Value gamma = operand(arguments.inputs, 1), beta = operand(arguments.inputs, 2);
    attributes->affine = gamma || beta;
    const Values results = builder.apply(
        "layer_norm_backward", attributes,
        {arguments.inputs[0], arguments.cotangents[0], arguments.outputs[1], arguments.outputs[2], gamma});
    gradients[0] = results[0];
    if (gamma) gradients[1] = results[1];
    if (beta) gradients[2] = results[2];
    return gradients;
  }
  void reference(const Attributes& attributes, RefInputs inputs, RefOutputs outputs) const override {
    const auto& own = as<LayerNormAttributes>(attributes);
    const RefTensor& x = *inputs[0];
    const RefTensor *gamma = operand(inputs, 1), *beta = operand(inputs, 2);
    const std::int64_t n = normalized(own, x.shape).elements();
    for (std::int64_t row = 0; row < outputs[1].size(); ++row) {
      double mean = 0.0, variance = 0.0;
      for (std::int64_t i = 0; i < n; ++i) mean += x[row * n + i] / static_cast<double>(n);
      for (std::int64_t i = 0; i < n; ++i)
        variance += (x[row * n + i] - mean) * (x[row * n + i] - mean) / static_cast<double>(n);
      const double rstd = 1.0 / std::sqrt(variance + own.eps);
      outputs[1][row] = mean;
      outputs[2][row] = rstd;
      for (std::int64_t i = 0; i < n; ++i) {
        outputs[0][row * n + i] =
            (gamma ? (*gamma)[i] : 1.0) * (x[row * n + i] - mean) * rstd + (beta ? (*beta)[i] : 0.0);
      }
    }
  }
  Cost cost(const Attributes&, InputTypes inputs, std::span<const TensorType> outputs) const override {
    return cost_with_flops(7.0 * static_cast<double>(outputs[0].elements()), inputs, outputs);
  }
};

/// With g = gamma dy, h = (x - mean) rstd: dx = rstd (g - mean(g) - h mean(g h)), dgamma = sum dy h, dbeta = sum dy
class LayerNormBackward final : public Op {
 public:
  std::string_view name() const override { return "layer_norm_backward"; }
  Types infer(const Attributes& attributes, InputTypes inputs) const override {
    expect_operands(name(), inputs, 4, 5);
    const auto& own = as<LayerNormAttributes>(attributes);
    const TensorType& x = *inputs[0];
    expect_same_type(name(), x, *inputs[1]);
    expect_normalizable(name(), own, x.shape, operand(inputs, 4), nullptr);
    require(inputs[2]->shape == leading(own, x.shape) && inputs[3]->shape == inputs[2]->shape,
            "layer_norm_backward: the statistics do not fit");
    if (!own.affine) return {x};
    const TensorType parameters{DType::f32, normalized(own, x.shape)};
    return {x, parameters, parameters};
  }
  void reference(const Attributes& attributes, RefInputs inputs, RefOutputs outputs) const override {
    const auto& own = as<LayerNormAttributes>(attributes);
    const RefTensor &x = *inputs[0], &dy = *inputs[1], &means = *inputs[2], &rstds = *inputs[3];
    const RefTensor* gamma = operand(inputs, 4);
    const std::int64_t n = normalized(own, x.shape).elements();
    for (std::int64_t row = 0; row < means.size(); ++row) {
      const auto h = [&](std::int64_t i) { return (x[row * n + i] - means[row]) * rstds[row]; };
      const auto g = [&](std::int64_t i) { return (gamma ? (*gamma)[i] : 1.0) * dy[row * n + i]; };
      double mean_g = 0.0, mean_gh = 0.0;
      for (std::int64_t i = 0; i < n; ++i) {
        mean_g += g(i) / static_cast<double>(n);
        mean_gh += g(i) * h(i) / static_cast<double>(n);
        if (!own.affine) continue;
        outputs[1][i] += dy[row * n + i] * h(i);
        outputs[2][i] += dy[row * n + i];
      }
      for (std::int64_t i = 0; i < n; ++i) outputs[0][row * n + i] = rstds[row] * (g(i) - mean_g - h(i) * mean_gh);
    }
  }
  Cost cost(const Attributes&, InputTypes inputs, std::span<const TensorType> outputs) const override {
    return cost_with_flops(12.0 * static_cast<double>(outputs[0].elements()), inputs, outputs);
  }
};

/// old + rate (scale new - old)
class MovingAverage final : public Op {
 public:
  std::string_view name() const override { return "moving_average"; }
  Types infer(const Attributes& attributes, InputTypes inputs) const override {
    const std::size_t count = as<MovingAverageAttributes>(attributes).count();
    expect_operands(name(), inputs, 2 * count, 2 * count + 1);
    Types outputs;
    for (std::size_t k = 0; k < count; ++k) {
      expect_same_type(name(), *inputs[k], *inputs[count + k]);
      outputs.push_back(*inputs[k]);
    }
    expect_scalar(name(), operand(inputs, 2 * count));
    return outputs;
  }
  void reference(const Attributes& attributes, RefInputs inputs, RefOutputs outputs) const override {
    const auto& own = as<MovingAverageAttributes>(attributes);
    const double rate = scalar_or(operand(inputs, 2 * own.count()), own.rate);
    for (std::size_t k = 0; k < own.count(); ++k) {
      for (std::int64_t i = 0; i < outputs[k].size(); ++i) {
        const double old = (*inputs[k])[i], fresh = own.scales[k] * (*inputs[own.count() + k])[i];
        outputs[k][i] = rate == 0.0 ? old : rate == 1.0 ? fresh : old + rate * (fresh - old);
      }
    }
  }
  Cost cost(const Attributes&, InputTypes inputs, std::span<const TensorType> outputs) const override {
    double elements = 0.0;
    for (const TensorType& output : outputs) elements += static_cast<double>(output.elements());
    return cost_with_flops(4.0 * elements, inputs, outputs);
  }
};

const RegisterOp<LayerNorm> layer_norm;
const RegisterOp<LayerNormBackward> layer_norm_backward;
const RegisterOp<MovingAverage> moving_average;

}  // namespace
}  // namespace trainctl
