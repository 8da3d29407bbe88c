#include "ops/optimizer.h"

#include <algorithm>
#include <cmath>

#include "ops/optimizer_support.h"

namespace trainctl {

std::string AdamAttributes::text() const {
  return fmt::format("betas={},{} eps={}{}", beta1, beta2, eps, decoupled ? " decoupled" : "");
}

std::string RmsPropAttributes::text() const {
  return fmt::format("alpha={} eps={}", alpha, eps);
}

namespace {

class Sgd final : public Op {
 public:
  std::string_view name() const override { return "sgd"; }
  Types infer(const Attributes&, InputTypes inputs) const override {
    expect_operands(name(), inputs, 2, 8);
    require(inputs.size() >= 6 && inputs[3] && inputs[4] && inputs[5], "sgd needs its rates");
    expect_like_parameters(name(), inputs, {1, 2});
    expect_scalars(name(), inputs, {3, 4, 5, 6});
    expect_scalar(name(), operand(inputs, 7), DType::i32);
    Types types{*inputs[0]};
    if (inputs[2]) types.push_back(*inputs[2]);
    return types;
  }
  void reference(const Attributes& attributes, RefInputs inputs, RefOutputs outputs) const override {
    const RefTensor &p = *inputs[0], *buffer = inputs[2];
    const double lr = (*inputs[3])[0], decay = (*inputs[4])[0], momentum = (*inputs[5])[0];
    const double g_scale = scalar_or(operand(inputs, 6), 1.0);
    const bool update = enabled(inputs, 7), nesterov = as<SgdAttributes>(attributes).nesterov;
    copy(p, outputs[0]);
    if (buffer) copy(*buffer, outputs[1]);
    if (!update) return;
    for (std::int64_t i = 0; i < p.size(); ++i) {
      double g = g_scale * (*inputs[1])[i] + decay * p[i];
      if (buffer) {
        const double b = outputs[1][i] = momentum * (*buffer)[i] + g;
        g = nesterov ? g + momentum * b : b;
      }
      outputs[0][i] = p[i] - lr * g;
    }
  }
  Cost cost(const Attributes&, InputTypes inputs, std::span<const TensorType> outputs) const override {
    return cost_with_flops(6.0 * static_cast<double>(outputs[0].elements()), inputs, outputs);
  }
};

class Adam final : public Op {
 public:
  std::string_view name() const override { return "adam"; }
  Types infer(const Attributes&, InputTypes inputs) const override {
    expect_operands(name(), inputs, 7, 9);
    expect_like_parameters(name(), inputs, {1, 2, 3});
    expect_scalar(name(), inputs[4], DType::i64);
    expect_scalars(name(), inputs, {5, 6, 7});
    expect_scalar(name(), operand(inputs, 8), DType::i32);
    return {*inputs[0], *inputs[2], *inputs[3], *inputs[4]};
  }
  void reference(const Attributes& attributes, RefInputs inputs, RefOutputs outputs) const override {
    const auto& adam = as<AdamAttributes>(attributes);
    const double lr = (*inputs[5])[0], decay = (*inputs[6])[0], g_scale = scalar_or(operand(inputs, 7), 1.0);
    constexpr std::size_t source[] = {0, 2, 3, 4};
    for (std::size_t k = 0; k < 4; ++k) copy(*inputs[source[k]], outputs[k]);
    if (!enabled(inputs, 8)) return;
    const double t = outputs[3][0] += 1.0;
    const double correction1 = 1.0 - std::pow(adam.beta1, t), correction2 = 1.0 - std::pow(adam.beta2, t);
    for (std::int64_t i = 0; i < outputs[0].size(); ++i) {
      double &p = outputs[0][i], &m = outputs[1][i], &v = outputs[2][i];
      double g = g_scale * (*inputs[1])[i];
      if (adam.decoupled) {
        p -= lr * decay * p;
      } else {
        g += decay * p;
      }
      m = adam.beta1 * m + (1.0 - adam.beta1) * g;
      v = adam.beta2 * v + (1.0 - adam.beta2) * g * g;
      p -= lr / correction1 * m / (std::sqrt(v) / std::sqrt(correction2) + adam.eps);
    }
  }
  Cost cost(const Attributes&, InputTypes inputs, std::span<const TensorType> outputs) const override {
    return cost_with_flops(14.0 * static_cast<double>(outputs[0].elements()), inputs, outputs);
  }
};

class RmsProp final : public Op {
 public:
  std::string_view name() const override { return "rmsprop"; }
  Types infer(const Attributes&, InputTypes inputs) const override {
    expect_operands(name(), inputs, 3, 10);
    require(inputs.size() >= 8 && inputs[5] && inputs[6] && inputs[7], "rmsprop needs its rates");
    expect_like_parameters(name(), inputs, {1, 2, 3, 4});
    expect_scalars(name(), inputs, {5, 6, 7, 8});
    expect_scalar(name(), operand(inputs, 9), DType::i32);
    Types types{*inputs[0], *inputs[2]};
    for (const std::size_t i : {3, 4}) {
      if (inputs[i]) types.push_back(*inputs[i]);
    }
    return types;
  }
  void reference(const Attributes& attributes, RefInputs inputs, RefOutputs outputs) const override {
    const auto& own = as<RmsPropAttributes>(attributes);
    const double lr = (*inputs[5])[0], decay = (*inputs[6])[0], momentum = (*inputs[7])[0];
    const double g_scale = scalar_or(operand(inputs, 8), 1.0);
    RefTensor* mean = inputs[3] ? &outputs[2] : nullptr;
    RefTensor* buffer = inputs[4] ? &outputs[inputs[3] ? 3 : 2] : nullptr;
    copy(*inputs[0], outputs[0]);
    copy(*inputs[2], outputs[1]);
    if (mean) copy(*inputs[3], *mean);
    if (buffer) copy(*inputs[4], *buffer);
    if (!enabled(inputs, 9)) return;
    for (std::int64_t i = 0; i < outputs[0].size(); ++i) {
      double &p = outputs[0][i], &square = outputs[1][i];
      const double g = g_scale * (*inputs[1])[i] + decay * p;
      square = own.alpha * square + (1.0 - own.alpha) * g * g;
      double spread = square;
      if (mean) {
        (*mean)[i] = own.alpha * (*mean)[i] + (1.0 - own.alpha) * g;
        spread = square - (*mean)[i] * (*mean)[i];
        if (spread < RmsPropAttributes::least_spread * square) spread = RmsPropAttributes::least_spread * square;
      }
      double d = g / (std::sqrt(spread) + own.eps);
      if (buffer) d = (*buffer)[i] = momentum * (*buffer)[i] + d;
      p -= lr * d;
    }
  }
  Cost cost(const Attributes&, InputTypes inputs, std::span<const TensorType> outputs) const override {
    return cost_with_flops(12.0 * static_cast<double>(outputs[0].elements()), inputs, outputs);
  }
};

/// sqrt of the sum of all squares
class GlobalNorm final : public Op {
 public:
  std::string_view name() const override { return "global_norm"; }
  Types infer(const Attributes&, InputTypes inputs) const override {
    expect_operands(name(), inputs, inputs.size(), inputs.size());
    return {{DType::f32, {}}};
  }
  void reference(const Attributes&, RefInputs inputs, RefOutputs outputs) const override {
    double sum = 0.0;
    for (const RefTensor* input : inputs) {
      for (const double x : input->data) sum += x * x;
    }
    outputs[0][0] = std::sqrt(sum);
  }
  Cost cost(const Attributes&, InputTypes inputs, std::span<const TensorType> outputs) const override {
    double elements = 0.0;
    for (const TensorType* input : inputs) elements += static_cast<double>(input->elements());
    return cost_with_flops(2.0 * elements, inputs, outputs);
  }
};

/// min(1, max_norm / (norm + 1e-6))
class ClipFactor final : public Op {
 public:
  std::string_view name() const override { return "clip_factor"; }
  Types infer(const Attributes&, InputTypes inputs) const override {
    expect_operands(name(), inputs, 2, 2);
    expect_scalars(name(), inputs, {0, 1});
    return {*inputs[0]};
  }
  void reference(const Attributes&, RefInputs inputs, RefOutputs outputs) const override {
    const double norm = (*inputs[0])[0];
    outputs[0][0] = std::isfinite(norm) ? std::min(1.0, (*inputs[1])[0] / (norm + 1e-6)) : norm;
  }
};

const RegisterOp<Sgd> sgd;
const RegisterOp<Adam> adam;
const RegisterOp<RmsProp> rmsprop;
const RegisterOp<GlobalNorm> global_norm;
const RegisterOp<ClipFactor> clip_factor;

}  // namespace
}  // namespace trainctl
