#include "ops/metric.h"

#include <fmt/ranges.h>

#include <cmath>

#include "ops/support.h"

namespace trainctl {

std::string AccumulateAttributes::text() const {
  return fmt::format("factor={}", fmt::join(factors, ","));
}

namespace {

class CountCorrect final : public Op {
 public:
  std::string_view name() const override { return "count_correct"; }
  Types infer(const Attributes& attributes, InputTypes inputs) const override {
    expect_operands(name(), inputs, 2, 2);
    const Shape &scores = inputs[0]->shape, &target = inputs[1]->shape;
    const std::int64_t k = as<CountCorrectAttributes>(attributes).k;
    if (scores.rank() < 2 || target.elements() * scores[1] != scores.elements()) {
      fail(ErrorKind::config,
           "accuracy: scores {} need one class index for each of their vectors along axis 1, not a target {}",
           scores.text(), target.text());
    }
    if (k < 1 || k > scores[1])
      fail(ErrorKind::config, "accuracy: k={} must lie between 1 and the number of classes, {}", k, scores[1]);
    return {{DType::i64, {}}};
  }
  void reference(const Attributes& attributes, RefInputs inputs, RefOutputs outputs) const override {
    const RefTensor &scores = *inputs[0], &target = *inputs[1];
    const AxisView view(scores.shape, 1);
    for (std::int64_t row = 0; row < target.size(); ++row) {
      const std::int64_t first = row / view.inner * view.extent * view.inner + row % view.inner;
      const auto score = [&](std::int64_t c) { return scores[first + c * view.inner]; };
      const auto t = static_cast<std::int64_t>(target[row]);
      require(t >= 0 && t < view.extent, "a target is not the index of a class");
      std::int64_t before = 0;
      bool has_nan = false;
      for (std::int64_t c = 0; c < view.extent; ++c) {
        has_nan |= std::isnan(score(c));
        before += score(c) > score(t) || (score(c) == score(t) && c < t);
      }
      if (!has_nan && before < as<CountCorrectAttributes>(attributes).k) outputs[0][0] += 1.0;
    }
  }
  Cost cost(const Attributes&, InputTypes inputs, std::span<const TensorType> outputs) const override {
    return cost_with_flops(static_cast<double>(inputs[0]->elements()), inputs, outputs);
  }
};

class AbsoluteErrorSum final : public Op {
 public:
  std::string_view name() const override { return "absolute_error_sum"; }
  Types infer(const Attributes&, InputTypes inputs) const override {
    expect_operands(name(), inputs, 2, 2);
    expect_same_type(name(), *inputs[0], *inputs[1]);
    return {{DType::f64, {}}};
  }
  void reference(const Attributes&, RefInputs inputs, RefOutputs outputs) const override {
    for (std::int64_t i = 0; i < inputs[0]->size(); ++i) outputs[0][0] += std::fabs((*inputs[0])[i] - (*inputs[1])[i]);
  }
  Cost cost(const Attributes&, InputTypes inputs, std::span<const TensorType> outputs) const override {
    return cost_with_flops(2.0 * static_cast<double>(inputs[0]->elements()), inputs, outputs);
  }
};

class Accumulate final : public Op {
 public:
  std::string_view name() const override { return "accumulate"; }
  Types infer(const Attributes& attributes, InputTypes inputs) const override {
    const std::size_t count = as<AccumulateAttributes>(attributes).count();
    expect_operands(name(), inputs, 2 * count, 2 * count);
    Types outputs;
    for (std::size_t k = 0; k < count; ++k) {
      require(inputs[k]->dtype == DType::f64 && inputs[k]->shape == inputs[count + k]->shape,
              "accumulate needs totals in f64 and values of their shapes");
      outputs.push_back(*inputs[k]);
    }
    return outputs;
  }
  void reference(const Attributes& attributes, RefInputs inputs, RefOutputs outputs) const override {
    const std::vector<double>& factors = as<AccumulateAttributes>(attributes).factors;
    for (std::size_t k = 0; k < factors.size(); ++k) {
      const RefTensor &total = *inputs[k], &value = *inputs[factors.size() + k];
      for (std::int64_t i = 0; i < total.size(); ++i) outputs[k][i] = total[i] + factors[k] * value[i];
    }
  }
};

const RegisterOp<CountCorrect> count_correct;
const RegisterOp<AbsoluteErrorSum> absolute_error_sum;
const RegisterOp<Accumulate> accumulate;

}  // namespace
}  // namespace trainctl
