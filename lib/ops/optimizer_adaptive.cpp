// adagrad, adadelta, lion, and lamb in its two steps.
#include <algorithm>
#include <cmath>

#include "ops/optimizer.h"
#include "ops/optimizer_support.h"

namespace trainctl {

std::string AdagradAttributes::text() const {
  return fmt::format("lr_decay={} eps={}", lr_decay, eps);
}

std::string AdadeltaAttributes::text() const {
  return fmt::format("rho={} eps={}", rho, eps);
}

std::string LionAttributes::text() const {
  return fmt::format("betas={},{}", beta1, beta2);
}

std::string LambAttributes::text() const {
  return fmt::format("betas={},{} eps={}", beta1, beta2, eps);
}

namespace {

Cost update_cost(double flops, InputTypes inputs, std::span<const TensorType> outputs) {
  return cost_with_flops(flops * static_cast<double>(outputs[0].elements()), inputs, outputs);
}

class Adagrad final : public Op {
 public:
  std::string_view name() const override { return "adagrad"; }
  Types infer(const Attributes&, InputTypes inputs) const override {
    expect_operands(name(), inputs, 6, 8);
    expect_like_parameters(name(), inputs, {1, 2});
    expect_scalar(name(), inputs[3], DType::i64);
    expect_scalars(name(), inputs, {4, 5, 6});
    expect_scalar(name(), operand(inputs, 7), DType::i32);
    return {*inputs[0], *inputs[2], *inputs[3]};
  }
  void reference(const Attributes& attributes, RefInputs inputs, RefOutputs outputs) const override {
    const auto& own = as<AdagradAttributes>(attributes);
    const double lr = (*inputs[4])[0], decay = (*inputs[5])[0], g_scale = scalar_or(operand(inputs, 6), 1.0);
    constexpr std::size_t source[] = {0, 2, 3};
    for (std::size_t k = 0; k < 3; ++k) copy(*inputs[source[k]], outputs[k]);
    if (!enabled(inputs, 7)) return;
    const double t = outputs[2][0] += 1.0;
    const double rate = lr / (1.0 + (t - 1.0) * own.lr_decay);
    for (std::int64_t i = 0; i < outputs[0].size(); ++i) {
      double &p = outputs[0][i], &sum = outputs[1][i];
      const double g = g_scale * (*inputs[1])[i] + decay * p;
      sum += g * g;
      p -= rate * g / (std::sqrt(sum) + own.eps);
    }
  }
  Cost cost(const Attributes&, InputTypes inputs, std::span<const TensorType> outputs) const override {
    return update_cost(8.0, inputs, outputs);
  }
};

class Adadelta final : public Op {
 public:
  std::string_view name() const override { return "adadelta"; }
  Types infer(const Attributes&, InputTypes inputs) const override {
    expect_operands(name(), inputs, 6, 8);
    expect_like_parameters(name(), inputs, {1, 2, 3});
    expect_scalars(name(), inputs, {4, 5, 6});
    expect_scalar(name(), operand(inputs, 7), DType::i32);
    return {*inputs[0], *inputs[2], *inputs[3]};
  }
  void reference(const Attributes& attributes, RefInputs inputs, RefOutputs outputs) const override {
    const auto& own = as<AdadeltaAttributes>(attributes);
    const double lr = (*inputs[4])[0], decay = (*inputs[5])[0], g_scale = scalar_or(operand(inputs, 6), 1.0);
    constexpr std::size_t source[] = {0, 2, 3};
    for (std::size_t k = 0; k < 3; ++k) copy(*inputs[source[k]], outputs[k]);
    if (!enabled(inputs, 7)) return;
    for (std::int64_t i = 0; i < outputs[0].size(); ++i) {
      double &p = outputs[0][i], &square = outputs[1][i], &delta = outputs[2][i];
      const double g = g_scale * (*inputs[1])[i] + decay * p;
      square = own.rho * square + (1.0 - own.rho) * g * g;
      const double d = std::sqrt(delta + own.eps) / std::sqrt(square + own.eps) * g;
      delta = own.rho * delta + (1.0 - own.rho) * d * d;
      p -= lr * d;
    }
  }
  Cost cost(const Attributes&, InputTypes inputs, std::span<const TensorType> outputs) const override {
    return update_cost(16.0, inputs, outputs);
  }
};

class Lion final : public Op {
 public:
  std::string_view name() const override { return "lion"; }
  Types infer(const Attributes&, InputTypes inputs) const override {
    expect_operands(name(), inputs, 5, 7);
    expect_like_parameters(name(), inputs, {1, 2});
    expect_scalars(name(), inputs, {3, 4, 5});
    expect_scalar(name(), operand(inputs, 6), DType::i32);
    return {*inputs[0], *inputs[2]};
  }
  void reference(const Attributes& attributes, RefInputs inputs, RefOutputs outputs) const override {
    const auto& own = as<LionAttributes>(attributes);
    const double lr = (*inputs[3])[0], decay = (*inputs[4])[0], g_scale = scalar_or(operand(inputs, 5), 1.0);
    copy(*inputs[0], outputs[0]);
    copy(*inputs[2], outputs[1]);
    if (!enabled(inputs, 6)) return;
    for (std::int64_t i = 0; i < outputs[0].size(); ++i) {
      double &p = outputs[0][i], &m = outputs[1][i];
      const double g = g_scale * (*inputs[1])[i];
      const double c = own.beta1 * m + (1.0 - own.beta1) * g;
      p -= lr * ((c > 0.0 ? 1.0 : c < 0.0 ? -1.0 : c) + decay * p);
      m = own.beta2 * m + (1.0 - own.beta2) * g;
    }
  }
  Cost cost(const Attributes&, InputTypes inputs, std::span<const TensorType> outputs) const override {
    return update_cost(9.0, inputs, outputs);
  }
};

class LambDirection final : public Op {
 public:
  std::string_view name() const override { return "lamb_direction"; }
  Types infer(const Attributes&, InputTypes inputs) const override {
    expect_operands(name(), inputs, 6, 8);
    expect_like_parameters(name(), inputs, {1, 2, 3});
    expect_scalar(name(), inputs[4], DType::i64);
    expect_scalars(name(), inputs, {5, 6});
    expect_scalar(name(), operand(inputs, 7), DType::i32);
    return {*inputs[0], *inputs[2], *inputs[3], *inputs[4]};
  }
  void reference(const Attributes& attributes, RefInputs inputs, RefOutputs outputs) const override {
    const auto& own = as<LambAttributes>(attributes);
    const double decay = (*inputs[5])[0], g_scale = scalar_or(operand(inputs, 6), 1.0);
    for (std::size_t k = 1; k < 4; ++k) copy(*inputs[k + 1], outputs[k]);
    if (!enabled(inputs, 7)) return;
    const double t = outputs[3][0] += 1.0;
    const double correction1 = 1.0 - std::pow(own.beta1, t), correction2 = 1.0 - std::pow(own.beta2, t);
    for (std::int64_t i = 0; i < outputs[0].size(); ++i) {
      double &m = outputs[1][i], &v = outputs[2][i];
      const double g = g_scale * (*inputs[1])[i];
      m = own.beta1 * m + (1.0 - own.beta1) * g;
      v = own.beta2 * v + (1.0 - own.beta2) * g * g;
      outputs[0][i] = m / correction1 / (std::sqrt(v / correction2) + own.eps) + decay * (*inputs[0])[i];
    }
  }
  Cost cost(const Attributes&, InputTypes inputs, std::span<const TensorType> outputs) const override {
    return update_cost(14.0, inputs, outputs);
  }
};

class TrustStep final : public Op {
 public:
  std::string_view name() const override { return "trust_step"; }
  Types infer(const Attributes&, InputTypes inputs) const override {
    expect_operands(name(), inputs, 4, 4);
    expect_like_parameters(name(), inputs, {1});
    require(inputs[2]->dtype == DType::i64 && inputs[2]->shape.rank() == 1 && inputs[2]->shape[0] >= 2,
            "trust_step: bounds are i64 numbers, one more than there are tensors");
    expect_scalar(name(), inputs[3]);
    return {*inputs[0]};
  }
  void reference(const Attributes&, RefInputs inputs, RefOutputs outputs) const override {
    const RefTensor &p = *inputs[0], &r = *inputs[1], &bounds = *inputs[2];
    const double lr = (*inputs[3])[0];
    for (std::int64_t k = 0; k + 1 < bounds.size(); ++k) {
      const auto begin = static_cast<std::int64_t>(bounds[k]), end = static_cast<std::int64_t>(bounds[k + 1]);
      double of_p = 0.0, of_r = 0.0;
      for (std::int64_t i = begin; i < end; ++i) of_p += p[i] * p[i], of_r += r[i] * r[i];
      const double ratio = of_p == 0.0 || of_r == 0.0 ? 1.0 : std::sqrt(of_p) / std::sqrt(of_r);
      for (std::int64_t i = begin; i < end; ++i) outputs[0][i] = p[i] - lr * ratio * r[i];
    }
  }
  Cost cost(const Attributes&, InputTypes inputs, std::span<const TensorType> outputs) const override {
    return update_cost(6.0, inputs, outputs);
  }
};

const RegisterOp<Adagrad> adagrad;
const RegisterOp<Adadelta> adadelta;
const RegisterOp<Lion> lion;
const RegisterOp<LambDirection> lamb_direction;
const RegisterOp<TrustStep> trust_step;

}  // namespace
}  // namespace trainctl
