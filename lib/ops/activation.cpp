#include "ops/activation.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>
#include <numbers>

#include "ops/support.h"

namespace trainctl {
namespace {

constexpr std::array<std::string_view, 11> names{"none", "relu",    "leaky_relu", "elu",       "gelu",    "gelu_tanh",
                                                 "silu", "sigmoid", "tanh",       "hardswish", "softplus"};

double sigmoid(double x) {
  return 1.0 / (1.0 + std::exp(-x));
}
double normal_cdf(double x) {
  return 0.5 * std::erfc(-x / std::numbers::sqrt2);
}
double normal_pdf(double x) {
  return std::exp(-0.5 * x * x) / std::sqrt(2.0 * std::numbers::pi);
}

// gelu_tanh is x (1 + tanh(u)) / 2 with u = sqrt(2 / pi) (x + 0.044715 x^3).
constexpr double gelu_cubic = 0.044715;
double gelu_inner(double x) {
  return std::sqrt(2.0 / std::numbers::pi) * (x + gelu_cubic * x * x * x);
}

}  // namespace

std::string Activation::text() const {
  std::string text(names[static_cast<std::size_t>(kind)]);
  if (kind == Kind::leaky_relu || kind == Kind::elu || kind == Kind::softplus) text += fmt::format("({})", alpha);
  return text;
}

double activate(const Activation& activation, double x) {
  switch (activation.kind) {
    case Activation::Kind::none:
      return x;
    case Activation::Kind::relu:
      return x < 0 ? 0.0 : x;  // keeps NaN
    case Activation::Kind::leaky_relu:
      return x > 0 ? x : activation.alpha * x;
    case Activation::Kind::elu:
      return x > 0 ? x : activation.alpha * std::expm1(x);
    case Activation::Kind::gelu:
      return x * normal_cdf(x);
    case Activation::Kind::gelu_tanh:
      return 0.5 * x * (1.0 + std::tanh(gelu_inner(x)));
    case Activation::Kind::silu:
      return x * sigmoid(x);
    case Activation::Kind::sigmoid:
      return sigmoid(x);
    case Activation::Kind::tanh:
      return std::tanh(x);
    case Activation::Kind::hardswish:
      return x * std::min(std::max(x + 3.0, 0.0), 6.0) / 6.0;
    case Activation::Kind::softplus: {
      const double scaled = activation.alpha * x;
      return (std::max(scaled, 0.0) + std::log1p(std::exp(-std::fabs(scaled)))) / activation.alpha;
    }
  }
  return x;
}

double derivative(const Activation& activation, double x) {
  switch (activation.kind) {
    case Activation::Kind::gelu:
      return normal_cdf(x) + x * normal_pdf(x);
    case Activation::Kind::gelu_tanh: {
      const double t = std::tanh(gelu_inner(x));
      const double slope = std::sqrt(2.0 / std::numbers::pi) * (1.0 + 3.0 * gelu_cubic * x * x);
      return 0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * slope;
    }
    case Activation::Kind::silu: {
      const double s = sigmoid(x);
      return s * (1.0 + x * (1.0 - s));
    }
    case Activation::Kind::hardswish:
      return x <= -3.0 ? 0.0 : x >= 3.0 ? 1.0 : x / 3.0 + 0.5;
    default:
      return derivative_at_output(activation, activate(activation, x));
  }
}

double derivative_at_output(const Activation& activation, double y) {
  switch (activation.kind) {
    case Activation::Kind::none:
      return 1.0;
    case Activation::Kind::relu:
      return y > 0 ? 1.0 : 0.0;
    case Activation::Kind::leaky_relu:
      return y > 0 ? 1.0 : activation.alpha;
    case Activation::Kind::elu:
      return y > 0 ? 1.0 : y + activation.alpha;
    case Activation::Kind::sigmoid:
      return y * (1.0 - y);
    case Activation::Kind::tanh:
      return 1.0 - y * y;
    case Activation::Kind::softplus:
      return -std::expm1(-activation.alpha * y);
    default:
      fail(ErrorKind::internal, "the derivative of {} is not a function of its output", activation.text());
  }
}

double derivative_at_saved(const Activation& activation, double saved) {
  return activation.derivative_from_output() ? derivative_at_output(activation, saved) : derivative(activation, saved);
}

namespace {

constexpr double flops_per_element = 4;  // a convention: no two machines agree on the price of an exponential

/// y = f(x)
class ActivationOp final : public Op {
 public:
  std::string_view name() const override { return "activation"; }
  Types infer(const Attributes& attributes, InputTypes inputs) const override {
    expect_operands(name(), inputs, 1, 1);
    const Activation& f = as<ActivationAttributes>(attributes).activation;
    if (f.alpha < 0) {
      fail(ErrorKind::config,
           "{}: its slope must not be negative, as its gradient is computed from the sign of its output", f.text());
    }
    if (f.kind == Activation::Kind::softplus && f.alpha == 0) fail(ErrorKind::config, "softplus needs a beta above 0");
    return {*inputs[0]};
  }
  Values vjp(Builder& builder, const VjpArguments& arguments) const override {
    const auto& own = as<ActivationAttributes>(arguments.attributes);
    const Value saved = own.activation.derivative_from_output() ? arguments.outputs[0] : arguments.inputs[0];
    return {builder.apply1("activation_backward", std::make_shared<ActivationAttributes>(own),
                           {arguments.cotangents[0], saved})};
  }
  void reference(const Attributes& attributes, RefInputs inputs, RefOutputs outputs) const override {
    const Activation& f = as<ActivationAttributes>(attributes).activation;
    for (std::int64_t i = 0; i < outputs[0].size(); ++i) outputs[0][i] = activate(f, (*inputs[0])[i]);
  }
  Cost cost(const Attributes&, InputTypes inputs, std::span<const TensorType> outputs) const override {
    return cost_with_flops(flops_per_element * static_cast<double>(outputs[0].elements()), inputs, outputs);
  }
};

/// dx = dy f'(x)
class ActivationBackward final : public Op {
 public:
  std::string_view name() const override { return "activation_backward"; }
  Types infer(const Attributes&, InputTypes inputs) const override {
    expect_operands(name(), inputs, 2, 2);
    expect_same_type(name(), *inputs[0], *inputs[1]);
    return {*inputs[0]};
  }
  void reference(const Attributes& attributes, RefInputs inputs, RefOutputs outputs) const override {
    const Activation& f = as<ActivationAttributes>(attributes).activation;
    for (std::int64_t i = 0; i < outputs[0].size(); ++i) {
      const double saved = (*inputs[1])[i];
      outputs[0][i] = (*inputs[0])[i] * derivative_at_saved(f, saved);
    }
  }
  Cost cost(const Attributes&, InputTypes inputs, std::span<const TensorType> outputs) const override {
    return cost_with_flops(flops_per_element * static_cast<double>(outputs[0].elements()), inputs, outputs);
  }
};

const RegisterOp<ActivationOp> activation;
const RegisterOp<ActivationBackward> activation_backward;

}  // namespace
}  // namespace trainctl
