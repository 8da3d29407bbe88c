#include "ops/gradient.h"

#include <algorithm>
#include <cmath>
#include <memory>

#include "base/philox.h"

namespace trainctl::test {

GradientGraph::GradientGraph(const OpInstance& instance) {
  Builder builder(graph_, context_, true);
  Values inputs;
  for (std::size_t k = 0; k < instance.inputs.size(); ++k) {
    const auto& type = instance.input_types[k];
    inputs.push_back(type ? graph_.input(fmt::format("x{}", k), *type) : Value());
    if (type) bindings_.inputs[fmt::format("x{}", k)] = instance.inputs[k];
  }
  const Values outputs = builder.apply(instance.source->op, instance.attributes, inputs);

  RefTensor cotangent(outputs[0].shape());
  for (std::int64_t i = 0; i < cotangent.size(); ++i) {
    const Words4 words =
        random_block(stream_hash(2, instance.source->full_name()), 0, 0, static_cast<std::uint32_t>(i));
    cotangent[i] = 2.0 * uniform_double(words.word[0], words.word[1]) - 1.0;
  }
  bindings_.inputs["cotangent"] = cotangent;
  Values cotangents(outputs.size());
  cotangents[0] = graph_.input("cotangent", outputs[0].type());

  const auto wanted = std::make_unique<bool[]>(inputs.size());
  for (std::size_t k = 0; k < inputs.size(); ++k) wanted[k] = instance.source->inputs[k].differentiable;
  gradients_ =
      instance.op->vjp(builder, {*instance.attributes, inputs, outputs, cotangents, {wanted.get(), inputs.size()}});
  for (std::size_t k = 0; k < gradients_.size(); ++k) {
    if (gradients_[k]) graph_.output(fmt::format("gradient{}", k), gradients_[k]);
  }
}

namespace {

double objective(const OpInstance& instance, const std::vector<RefTensor>& inputs, const RefTensor& cotangent) {
  const std::vector<RefTensor> outputs = run_reference(instance, inputs);
  double sum = 0.0;
  for (std::int64_t i = 0; i < cotangent.size(); ++i) sum += cotangent[i] * outputs[0][i];
  return sum;
}

/// Elements of a tensor to vary: all of a small one, else some spread over it.
std::vector<std::int64_t> probes(std::int64_t elements) {
  constexpr std::int64_t most = 60;
  std::vector<std::int64_t> chosen;
  for (std::int64_t i = 0; i < std::min(elements, most); ++i)
    chosen.push_back(elements <= most ? i : i * (elements - 1) / (most - 1));
  return chosen;
}

}  // namespace

std::string check_gradient(const OpCase& op_case) {
  constexpr double step = 1e-5, tolerance = 1e-6;
  const OpInstance instance = instantiate(op_case);
  const GradientGraph gradient(instance);
  const Interpretation run = gradient.interpret();
  std::string wrong;
  for (std::size_t k = 0; k < op_case.inputs.size(); ++k) {
    if (!op_case.inputs[k].differentiable) continue;
    if (!gradient.gradients().at(k)) return fmt::format("operand {} has no gradient", k);
    const RefTensor& got = run.outputs.at(fmt::format("gradient{}", k));
    std::vector<RefTensor> inputs = instance.inputs;
    double scale = 0.0;
    for (const double value : got.data) scale = std::max(scale, std::fabs(value));
    for (const std::int64_t i : probes(got.size())) {
      const double x = instance.inputs[k][i];
      inputs[k][i] = x + step;
      const double above = objective(instance, inputs, gradient.cotangent());
      inputs[k][i] = x - step;
      const double below = objective(instance, inputs, gradient.cotangent());
      inputs[k][i] = x;
      const double expected = (above - below) / (2.0 * step);
      if (!(std::fabs(got[i] - expected) <= tolerance * std::max({1.0, scale, std::fabs(expected)}))) {
        wrong += fmt::format("operand {} element {}: {} instead of {}\n", k, i, got[i], expected);
        break;
      }
    }
  }
  return wrong;
}

}  // namespace trainctl::test
