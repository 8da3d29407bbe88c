// Steps against their formulas.
#include <doctest/doctest.h>

#include <cmath>

#include "nn/fixture.h"

using namespace trainctl;
using namespace trainctl::test;

namespace {

/// Two models, as steps take them, over one graph.
struct TwoModels {
  Model first, second;
  Component<Loss> loss = from_yaml<Component<Loss>>("cross_entropy", "loss");
  Metrics metrics;
  Assembly assembly;
  Bench bench;

  TwoModels(const std::string& a, const std::string& b, const std::string& names, bool training)
      : first(from_yaml<Model>(a, "models")), second(from_yaml<Model>(b, "models")), bench(training) {
    const auto comma = names.find(',');
    assembly.models = {{names.substr(0, comma), &first}, {names.substr(comma + 1), &second}};
    assembly.loss = &loss;
    assembly.metrics = &metrics;
  }

  /// The values reported for a batch, by name.
  std::map<std::string, double> reports(const Component<Step>& step, const Batch& batch) {
    step->build(bench.builder, assembly, {Phase::evaluate, "val"}, batch);
    bind_state(bench.state, bench.bindings);
    const Interpretation result = bench.run();
    std::map<std::string, double> values;
    for (const auto& reported : assembly.reported("val")) {
      const double sum = result.new_state.at(bench.state[reported.sums[0]].name)[0];
      values[reported.name] = sum / static_cast<double>(batch.samples);
    }
    return values;
  }
  RefTensor numbers_of(const std::string& name) const { return bench.bindings.state.at(name); }
};

/// x w^T + b of a model that is one linear layer.
RefTensor linear(const TwoModels& pair, const std::string& prefix, const RefTensor& x) {
  const RefTensor w = pair.numbers_of(prefix + "weight"), b = pair.numbers_of(prefix + "bias");
  RefTensor y({x.shape[0], w.shape[0]});
  for (std::int64_t n = 0; n < x.shape[0]; ++n) {
    for (std::int64_t o = 0; o < w.shape[0]; ++o) {
      double sum = b[o];
      for (std::int64_t k = 0; k < w.shape[1]; ++k) sum += x[n * w.shape[1] + k] * w[o * w.shape[1] + k];
      y[n * w.shape[0] + o] = sum;
    }
  }
  return y;
}

double log_sum_exp(const RefTensor& x, std::int64_t row, double heat) {
  double sum = 0.0;
  for (std::int64_t c = 0; c < x.shape[1]; ++c) sum += std::exp(x[row * x.shape[1] + c] / heat);
  return std::log(sum);
}

double softplus(double x) {
  return std::log1p(std::exp(x));
}

}  // namespace

TEST_CASE("distillation is alpha T^2 KL(teacher || student) + (1 - alpha) loss") {
  TwoModels pair("{type: linear, out_features: 4}", "{type: linear, out_features: 4, freeze: '*'}", "student,teacher",
                 false);
  const Batch batch{{{"input", pair.bench.input({6, 3})}, {"target", pair.bench.classes(6, 4)}}, 6};
  const auto step = from_yaml<Component<Step>>("{type: distillation, temperature: 3, alpha: 0.8}", "step");
  const auto values = pair.reports(step, batch);

  const RefTensor x = pair.bench.bindings.inputs.at("input");
  const RefTensor s = linear(pair, "models/student/", x), t = linear(pair, "models/teacher/", x);
  double soft = 0.0, hard = 0.0;
  for (std::int64_t n = 0; n < 6; ++n) {
    const double over_s = log_sum_exp(s, n, 3.0), over_t = log_sum_exp(t, n, 3.0);
    for (std::int64_t c = 0; c < 4; ++c) {
      const double log_p = t[n * 4 + c] / 3.0 - over_t, log_q = s[n * 4 + c] / 3.0 - over_s;
      soft += 9.0 * std::exp(log_p) * (log_p - log_q) / 6.0;
    }
    const auto label = static_cast<std::int64_t>(pair.bench.bindings.inputs.at("target")[n]);
    hard += (log_sum_exp(s, n, 1.0) - s[n * 4 + label]) / 6.0;
  }
  CHECK(values.at("soft_loss") == doctest::Approx(soft));
  CHECK(values.at("hard_loss") == doctest::Approx(hard));
  CHECK(values.at("loss") == doctest::Approx(0.8 * soft + 0.2 * hard));
}

TEST_CASE("distillation on outputs is half the summed squares, averaged over the batch") {
  TwoModels pair("{type: linear, out_features: 5}", "{type: linear, out_features: 5, freeze: '*'}", "student,teacher",
                 false);
  const Batch batch{{{"input", pair.bench.input({4, 3})}}, 4};
  const auto step = from_yaml<Component<Step>>("{type: distillation, match: outputs, target: null}", "step");
  const auto values = pair.reports(step, batch);
  const RefTensor x = pair.bench.bindings.inputs.at("input");
  const RefTensor s = linear(pair, "models/student/", x), t = linear(pair, "models/teacher/", x);
  double expected = 0.0;
  for (std::int64_t i = 0; i < s.size(); ++i) expected += 0.5 * (t[i] - s[i]) * (t[i] - s[i]) / 4.0;
  CHECK(values.at("loss") == doctest::Approx(expected));
}

TEST_CASE("the losses of a GAN are those of its definition, for what the generator gives") {
  TwoModels pair("{type: linear, out_features: 3}", "{type: linear, out_features: 1}", "generator,discriminator",
                 false);
  const Batch batch{{{"input", pair.bench.input({5, 3})}}, 5};
  const auto step = from_yaml<Component<Step>>("{type: gan, latent: 2, real_label: 0.9}", "step");
  pair.bench.bindings.inputs["position"] = RefTensor(Shape{}, 40.0);
  step->build(pair.bench.builder, pair.assembly, {Phase::evaluate, "val"}, batch);
  bind_state(pair.bench.state, pair.bench.bindings);
  const Interpretation result = pair.bench.run();
  const RefTensor fake = result.outputs.at("output");
  const RefTensor of_real = linear(pair, "models/discriminator/", pair.bench.bindings.inputs.at("input"));
  const RefTensor of_fake = linear(pair, "models/discriminator/", fake);
  double discriminator = 0.0, generator = 0.0;
  for (std::int64_t n = 0; n < 5; ++n) {
    const double real = 0.9 * softplus(-of_real[n]) + 0.1 * softplus(of_real[n]);
    discriminator += 0.5 * (real + softplus(of_fake[n])) / 5.0;
    generator += softplus(-of_fake[n]) / 5.0;
  }
  const auto sum_of = [&](const std::string& name) {
    return result.new_state.at("metrics/val/" + name + "/0")[0] / 5.0;
  };
  CHECK(sum_of("discriminator_loss") == doctest::Approx(discriminator));
  CHECK(sum_of("generator_loss") == doctest::Approx(generator));
}

TEST_CASE("a step that does not say what it predicts is refused") {
  struct Silent final : Step {
    void build(Builder&, Assembly&, const StepProgram&, const Batch&) const override {}
  };
  TwoModels pair("relu", "relu", "a,b", false);
  CHECK(contains(refusal([&] {
                   Silent().predict(pair.bench.builder, pair.assembly, {Phase::predict, "val"}, {});
                 }),
                 "override Step::predict"));
}
