#include <cmath>
#include <memory>

#include "ops/norm.h"
#include "ops/support.h"

namespace trainctl {

std::string BatchNormAttributes::text() const {
  std::string text = fmt::format("eps={}", eps);
  if (gives_sum) text += " gives_sum";
  if (activation) text += " " + activation.text();
  return text;
}

namespace {

/// Checks x, its per-channel operands and what fusion may set.
void expect_normalizable(std::string_view op, const BatchNormAttributes& attributes, const TensorType& x) {
  if (x.shape.rank() < 2) {
    fail(ErrorKind::config, "{}: the input {} has no channel axis; it needs at least (batch, channels)", op,
         x.shape.text());
  }
  require(!attributes.activation || attributes.activation.kind == Activation::Kind::relu,
          "batch_norm fuses with relu only");
}

/// y = f(scale[c] x + shift[c] + sum)
void affine_by_channel(const RefTensor& x, const std::vector<double>& scale, const std::vector<double>& shift,
                       const RefTensor* sum, const Activation& f, RefTensor& y) {
  const AxisView view(x.shape, 1);
  for (std::int64_t i = 0; i < x.size(); ++i) {
    const std::int64_t c = i / view.inner % view.extent;
    y[i] = activate(f, scale[c] * x[i] + shift[c] + (sum ? (*sum)[i] : 0.0));
  }
}

/// y = f(gamma (x - mean) / sqrt(variance + eps) + beta + sum)
class BatchNorm final : public Op {
 public:
  std::string_view name() const override { return "batch_norm"; }
  Types infer(const Attributes& attributes, InputTypes inputs) const override {
    expect_operands(name(), inputs, 3, 4);
    const TensorType& x = *inputs[0];
    expect_normalizable(name(), as<BatchNormAttributes>(attributes), x);
    expect_channels(name(), "scale", inputs[1], x.shape[1]);
    expect_channels(name(), "shift", inputs[2], x.shape[1]);
    if (const TensorType* sum = operand(inputs, 3)) expect_same_type(name(), x, *sum);
    const TensorType statistics{DType::f32, {x.shape[1]}};
    return {x, statistics, statistics};
  }
  Values vjp(Builder& builder, const VjpArguments& arguments) const override {
    const auto& own = as<BatchNormAttributes>(arguments.attributes);
    require(!own.activation && !operand(arguments.inputs, 3),
            "gradients come before fusion: batch_norm must have no activation and no sum");
    if (!arguments.cotangents[0]) return Values(arguments.inputs.size());
    Values gradients = builder.apply("batch_norm_backward", std::make_shared<BatchNormAttributes>(own),
                                     {arguments.inputs[0], arguments.cotangents[0], arguments.outputs[1],
                                      arguments.outputs[2], arguments.inputs[1]});
    gradients.resize(arguments.inputs.size());
    return gradients;
  }
  void reference(const Attributes& attributes, RefInputs inputs, RefOutputs outputs) const override {
    const auto& own = as<BatchNormAttributes>(attributes);
    const RefTensor &x = *inputs[0], &gamma = *inputs[1], &beta = *inputs[2];
    RefTensor &mean = outputs[1], &variance = outputs[2];
    const AxisView view(x.shape, 1);
    const double count = static_cast<double>(view.outer * view.inner);
    const auto channel = [&](std::int64_t i) { return i / view.inner % view.extent; };
    for (std::int64_t i = 0; i < x.size(); ++i) mean[channel(i)] += x[i] / count;
    for (std::int64_t i = 0; i < x.size(); ++i) {
      const double deviation = x[i] - mean[channel(i)];
      variance[channel(i)] += deviation * deviation / count;
    }
    std::vector<double> scale(view.extent), shift(view.extent);
    for (std::int64_t c = 0; c < view.extent; ++c) {
      scale[c] = gamma[c] / std::sqrt(variance[c] + own.eps);
      shift[c] = beta[c] - scale[c] * mean[c];
    }
    affine_by_channel(x, scale, shift, operand(inputs, 3), own.activation, outputs[0]);
  }
  Cost cost(const Attributes&, InputTypes inputs, std::span<const TensorType> outputs) const override {
    return cost_with_flops(6.0 * static_cast<double>(outputs[0].elements()), inputs, outputs);
  }
};

/// With g = dy f'(y), h = (x - mean) rstd, m = elements of a channel:
///   dgamma = sum g h, dbeta = sum g, dx = gamma rstd (g - dbeta / m - h dgamma / m), dsum = g
class BatchNormBackward final : public Op {
 public:
  std::string_view name() const override { return "batch_norm_backward"; }
  Types infer(const Attributes& attributes, InputTypes inputs) const override {
    expect_operands(name(), inputs, 5, 6);
    const auto& own = as<BatchNormAttributes>(attributes);
    const TensorType& x = *inputs[0];
    expect_normalizable(name(), own, x);
    expect_same_type(name(), x, *inputs[1]);
    expect_channels(name(), "mean", inputs[2], x.shape[1]);
    expect_channels(name(), "variance", inputs[3], x.shape[1]);
    expect_channels(name(), "scale", inputs[4], x.shape[1]);
    require(static_cast<bool>(own.activation) == (operand(inputs, 5) != nullptr),
            "batch_norm_backward takes y with an activation only");
    if (own.activation) expect_same_type(name(), x, *inputs[5]);
    const TensorType parameters{DType::f32, {x.shape[1]}};
    Types types{x, parameters, parameters};
    if (own.gives_sum) types.push_back(x);
    return types;
  }
  void reference(const Attributes& attributes, RefInputs inputs, RefOutputs outputs) const override {
    const auto& own = as<BatchNormAttributes>(attributes);
    const RefTensor &x = *inputs[0], &mean = *inputs[2], &variance = *inputs[3], &gamma = *inputs[4];
    RefTensor &dx = outputs[0], &dgamma = outputs[1], &dbeta = outputs[2];
    RefTensor g = *inputs[1];
    if (own.activation) {
      for (std::int64_t i = 0; i < g.size(); ++i) g[i] *= derivative_at_output(own.activation, (*inputs[5])[i]);
    }
    const AxisView view(x.shape, 1);
    const double count = static_cast<double>(view.outer * view.inner);
    const auto channel = [&](std::int64_t i) { return i / view.inner % view.extent; };
    const auto rstd = [&](std::int64_t c) { return 1.0 / std::sqrt(variance[c] + own.eps); };
    const auto normalized = [&](std::int64_t i) { return (x[i] - mean[channel(i)]) * rstd(channel(i)); };
    for (std::int64_t i = 0; i < x.size(); ++i) {
      dgamma[channel(i)] += g[i] * normalized(i);
      dbeta[channel(i)] += g[i];
    }
    for (std::int64_t i = 0; i < x.size(); ++i) {
      const std::int64_t c = channel(i);
      dx[i] = gamma[c] * rstd(c) * (g[i] - dbeta[c] / count - normalized(i) * dgamma[c] / count);
    }
    if (own.gives_sum) outputs[3].data = g.data;
  }
  Cost cost(const Attributes&, InputTypes inputs, std::span<const TensorType> outputs) const override {
    return cost_with_flops(10.0 * static_cast<double>(outputs[0].elements()), inputs, outputs);
  }
};

/// The same with given statistics
class BatchNormInference final : public Op {
 public:
  std::string_view name() const override { return "batch_norm_inference"; }
  Types infer(const Attributes& attributes, InputTypes inputs) const override {
    expect_operands(name(), inputs, 5, 6);
    const TensorType& x = *inputs[0];
    expect_normalizable(name(), as<BatchNormAttributes>(attributes), x);
    expect_channels(name(), "scale", inputs[1], x.shape[1]);
    expect_channels(name(), "shift", inputs[2], x.shape[1]);
    expect_channels(name(), "running mean", inputs[3], x.shape[1]);
    expect_channels(name(), "running variance", inputs[4], x.shape[1]);
    if (const TensorType* sum = operand(inputs, 5)) expect_same_type(name(), x, *sum);
    return {x};
  }
  Values vjp(Builder& builder, const VjpArguments& arguments) const override {
    const auto& own = as<BatchNormAttributes>(arguments.attributes);
    require(!own.activation && !operand(arguments.inputs, 5),
            "gradients come before fusion: batch_norm must have no activation and no sum");
    const auto attributes = std::make_shared<BatchNormAttributes>(own);
    const auto& in = arguments.inputs;
    const Value dy = arguments.cotangents[0];
    Values gradients(in.size());
    if (arguments.wanted[0]) {  // the op is linear in x: dx is dy under the same scale, with neither mean nor shift
      const Value zeros = builder.graph().constant(in[1].type(), {0.0});
      gradients[0] = builder.apply1("batch_norm_inference", attributes, {dy, in[1], zeros, zeros, in[4]});
    }
    if (arguments.wanted[1] || arguments.wanted[2]) {
      const Values sums = builder.apply("batch_norm_backward", attributes, {in[0], dy, in[3], in[4], in[1]});
      gradients[1] = sums[1];
      gradients[2] = sums[2];
    }
    return gradients;
  }
  void reference(const Attributes& attributes, RefInputs inputs, RefOutputs outputs) const override {
    const auto& own = as<BatchNormAttributes>(attributes);
    const RefTensor &gamma = *inputs[1], &beta = *inputs[2], &mean = *inputs[3], &variance = *inputs[4];
    std::vector<double> scale(gamma.size()), shift(gamma.size());
    for (std::int64_t c = 0; c < gamma.size(); ++c) {
      scale[c] = gamma[c] / std::sqrt(variance[c] + own.eps);
      shift[c] = beta[c] - scale[c] * mean[c];
    }
    affine_by_channel(*inputs[0], scale, shift, operand(inputs, 5), own.activation, outputs[0]);
  }
  Cost cost(const Attributes&, InputTypes inputs, std::span<const TensorType> outputs) const override {
    return cost_with_flops(2.0 * static_cast<double>(outputs[0].elements()), inputs, outputs);
  }
};

const RegisterOp<BatchNorm> batch_norm;
const RegisterOp<BatchNormBackward> batch_norm_backward;
const RegisterOp<BatchNormInference> batch_norm_inference;

}  // namespace
}  // namespace trainctl
