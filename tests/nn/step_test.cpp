#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "nn/fixture.h"

using namespace trainctl;
using namespace trainctl::test;

namespace {

/// A whole experiment in small: YAML of model, loss, metrics, optimizer; programs of its phases over one state.
struct Experiment {
  Model model;
  Component<Loss> loss;
  Metrics metrics;
  Component<Optimizer> optimizer;
  Component<Step> step{"supervised"};
  Assembly assembly;
  StateSpec state;
  BuildContext context;
  Bindings bindings;

  Experiment(const std::string& model_yaml, const std::string& optimizer_yaml,
             const std::string& loss_yaml = "cross_entropy")
      : model(from_yaml<Model>(model_yaml, "model")),
        loss(from_yaml<Component<Loss>>(loss_yaml, "loss")),
        metrics(from_yaml<Metrics>("{accuracy: {}, top: {type: top_k_accuracy, k: 2}}", "metrics")),
        optimizer(from_yaml<Component<Optimizer>>(optimizer_yaml, "optimizer")) {
    assembly.models = {{"", &model}};
    assembly.loss = &loss;
    assembly.metrics = &metrics;
    assembly.optimizers = {{"", optimizer.get()}};
  }

  void declare(const Shape& input) {
    Graph graph(state);
    Builder builder(graph, context, true);
    model.build(builder, {graph.input("input", {DType::f32, input})});
    assembly.declare_groups(state);
  }

  /// Runs one program on samples [first, first + count) and takes its updates.
  Interpretation run(Phase phase, const RefTensor& inputs, const RefTensor& targets, std::int64_t first,
                     std::int64_t count, double weight = 1.0) {
    Graph graph(state);
    Builder builder(graph, context, phase != Phase::evaluate);
    Shape shape = inputs.shape;
    shape.set_dim(0, count);
    const Batch batch{{{"input", graph.input("input", {DType::f32, shape})},
                       {"target", graph.input("target", {DType::i64, {count}})}},
                      count};
    step->build(builder, assembly, {phase, phase == Phase::evaluate ? "val" : "train"}, batch);
    bindings.inputs["input"] = rows(inputs, first, count);
    bindings.inputs["target"] = rows(targets, first, count);
    bindings.inputs["batch_weight"] = RefTensor(Shape{}, weight);
    bindings.inputs["step"] = RefTensor(Shape{}, 0.0);
    bind_state(state, bindings);
    Interpretation result = interpret(graph, bindings);
    commit(state, result, bindings);
    return result;
  }

  const RefTensor& at(const std::string& name) { return bindings.state.at(name); }

 private:
  static RefTensor rows(const RefTensor& all, std::int64_t first, std::int64_t count) {
    Shape shape = all.shape;
    shape.set_dim(0, count);
    RefTensor part(shape);
    const std::int64_t row = all.size() / all.shape[0];
    for (std::int64_t i = 0; i < part.size(); ++i) part[i] = all[first * row + i];
    return part;
  }
};

const std::string net =
    "{type: sequential, layers: [{type: linear, out_features: 5}, tanh, {type: linear, out_features: 3}]}";

RefTensor targets_of(std::int64_t count) {
  RefTensor tensor({count});
  for (std::int64_t i = 0; i < count; ++i) tensor[i] = static_cast<double>((i * 2 + 1) % 3);
  return tensor;
}

const RefTensor inputs = numbers("inputs", {6, 4}, 2.0);
const RefTensor targets = targets_of(6);

/// Mean loss at the experiment's state, by an evaluation program.
double loss_at(Experiment& experiment) {
  experiment.bindings.state["metrics/val/loss/0"] = RefTensor(Shape{}, 0.0);
  experiment.run(Phase::evaluate, inputs, targets, 0, 6);
  return experiment.at("metrics/val/loss/0")[0] / 6;
}

/// d loss / d parameter[i] by central differences.
double slope(Experiment& experiment, const std::string& parameter, std::int64_t i) {
  constexpr double h = 1e-5;
  double& x = experiment.bindings.state.at(parameter)[i];
  const double start = x;
  experiment.bindings.state.at(parameter)[i] = start + h;
  const double above = loss_at(experiment);
  experiment.bindings.state.at(parameter)[i] = start - h;
  const double below = loss_at(experiment);
  experiment.bindings.state.at(parameter)[i] = start;
  return (above - below) / (2 * h);
}

std::vector<std::string> model_parameters(const Experiment& experiment) {
  std::vector<std::string> names = parameter_names(experiment.state);
  for (std::string& name : names) name = "model/" + name;
  return names;
}

}  // namespace

TEST_CASE("one step of sgd goes down the slope of the loss") {
  for (const std::string& model :
       {net,
        std::string("{type: sequential, layers: [{type: reshape, shape: [1, 2, 2]}, {type: conv2d, out_channels: 3, "
                    "kernel_size: 2, "
                    "padding: same}, {type: residual, layers: [{type: layer_norm, axes: 3}, silu]}, {type: avg_pool2d, "
                    "kernel_size: 2}, flatten, {type: linear, out_features: 3}]}")}) {
    CAPTURE(model);
    Experiment experiment(model, "{type: sgd, lr: 0.5}", "{type: cross_entropy, label_smoothing: 0.1}");
    experiment.declare({6, 4});
    bind_state(experiment.state, experiment.bindings);
    std::map<std::string, std::vector<double>> expected;
    for (const std::string& name : model_parameters(experiment)) {
      for (std::int64_t i = 0; i < experiment.at(name).size(); ++i)
        expected[name].push_back(experiment.at(name)[i] - 0.5 * slope(experiment, name, i));
    }
    experiment.run(Phase::whole, inputs, targets, 0, 6);
    for (const auto& [name, values] : expected) {
      CAPTURE(name);
      for (std::size_t i = 0; i < values.size(); ++i)
        CHECK(experiment.at(name).data[i] == doctest::Approx(values[i]).epsilon(1e-6));
    }
  }
}

TEST_CASE("each optimizer's first steps are the equations'") {
  const auto two_steps = [](const std::string& optimizer) {
    Experiment experiment(net, optimizer);
    experiment.declare({6, 4});
    bind_state(experiment.state, experiment.bindings);
    std::vector<double> seen{experiment.at("model/0.weight")[2]};
    for (int k = 0; k < 2; ++k) {
      seen.push_back(slope(experiment, "model/0.weight", 2));
      experiment.run(Phase::whole, inputs, targets, 0, 6);
      seen.push_back(experiment.at("model/0.weight")[2]);
    }
    return seen;  // p0, g1, p1, g2, p2
  };
  const auto near = [](double value) { return doctest::Approx(value).epsilon(1e-5); };

  auto p = two_steps("{type: sgd, lr: 0.1, momentum: 0.9, nesterov: true, weight_decay: 0.01}");
  double g1 = p[1] + 0.01 * p[0], g2 = p[3] + 0.01 * p[2];
  CHECK(p[2] == near(p[0] - 0.1 * (g1 + 0.9 * g1)));
  CHECK(p[4] == near(p[2] - 0.1 * (g2 + 0.9 * (0.9 * g1 + g2))));

  p = two_steps("{type: adam, lr: 0.01, betas: [0.8, 0.9], eps: 1e-3}");
  CHECK(p[2] == near(p[0] - 0.01 * p[1] / (std::abs(p[1]) + 1e-3)));
  double m = (0.8 * 0.2 * p[1] + 0.2 * p[3]) / (1 - 0.64);
  double v = (0.9 * 0.1 * p[1] * p[1] + 0.1 * p[3] * p[3]) / (1 - 0.81);
  CHECK(p[4] == near(p[2] - 0.01 * m / (std::sqrt(v) + 1e-3)));

  p = two_steps("{type: adamw, lr: 0.01, weight_decay: 0.5, eps: 1e-3}");
  CHECK(p[2] == near(p[0] * (1 - 0.005) - 0.01 * p[1] / (std::abs(p[1]) + 1e-3)));

  p = two_steps("{type: rmsprop, lr: 0.01, alpha: 0.9, eps: 1e-3, momentum: 0.5, centered: true}");
  const auto step = [](double square, double mean, double g) { return g / (std::sqrt(square - mean * mean) + 1e-3); };
  const double d1 = step(0.1 * p[1] * p[1], 0.1 * p[1], p[1]);
  CHECK(p[2] == near(p[0] - 0.01 * d1));
  const double d2 = step(0.09 * p[1] * p[1] + 0.1 * p[3] * p[3], 0.09 * p[1] + 0.1 * p[3], p[3]);
  CHECK(p[4] == near(p[2] - 0.01 * (0.5 * d1 + d2)));
}

TEST_CASE("slots are saved under the names that checkpoints have") {
  Experiment experiment(net, "{type: adam, groups: {biases: {match: \"*.bias\", weight_decay: 0}}, weight_decay: 0.1}");
  experiment.declare({6, 4});
  experiment.run(Phase::whole, inputs, targets, 0, 6);
  for (const char* name : {"optimizer/default/exp_avg/0.weight", "optimizer/biases/exp_avg_sq/2.bias",
                           "optimizer/biases/step", "metrics/train/loss/0", "metrics/train/top/0"}) {
    CAPTURE(name);
    REQUIRE(experiment.state.find(name) >= 0);
    CHECK(experiment.state[experiment.state.find(name)].saved);
  }
  CHECK(experiment.at("optimizer/default/step")[0] == 1.0);
  CHECK(!experiment.state[experiment.state.find("gradients/default")].saved);
}

TEST_CASE("groups have their own hyper-parameters, the first that matches takes a parameter") {
  Experiment experiment(
      net, "{type: sgd, lr: 0.5, groups: {head: {match: \"2.*\", lr: 0}, biases: {match: [\"*.bias\"], lr: 0.25}}}");
  experiment.declare({6, 4});
  bind_state(experiment.state, experiment.bindings);
  const RefTensor head = experiment.at("model/2.bias");
  const double bias = experiment.at("model/0.bias")[1], bias_slope = slope(experiment, "model/0.bias", 1);
  const double weight = experiment.at("model/0.weight")[1], weight_slope = slope(experiment, "model/0.weight", 1);
  experiment.run(Phase::whole, inputs, targets, 0, 6);
  CHECK(experiment.at("model/2.bias").data == head.data);
  CHECK(experiment.at("model/0.bias")[1] == doctest::Approx(bias - 0.25 * bias_slope));
  CHECK(experiment.at("model/0.weight")[1] == doctest::Approx(weight - 0.5 * weight_slope));

  // A rate that a policy drives is read from the step's row, whatever the group's own is.
  Experiment driven(net, "{type: sgd, lr: 0.5, groups: {head: {match: \"2.*\", lr: 0.1}}}");
  driven.context.live = {"optimizer.lr", "optimizer.groups.head.lr"};
  driven.declare({6, 4});
  driven.bindings.inputs["optimizer.lr"] = RefTensor(Shape{}, 0.0);
  driven.bindings.inputs["optimizer.groups.head.lr"] = RefTensor(Shape{}, 0.0);
  bind_state(driven.state, driven.bindings);
  const RefTensor before = driven.at("model/0.weight");
  driven.run(Phase::whole, inputs, targets, 0, 6);
  CHECK(driven.at("model/0.weight").data == before.data);
}

TEST_CASE("patterns that take nothing are refused") {
  const auto refused = [](const std::string& groups) {
    return refusal([&] { Experiment(net, "{type: sgd, groups: " + groups + "}").declare({6, 4}); });
  };
  CHECK(contains(refused("{a: {match: \"*.bais\"}}"),
                 "optimizer.groups.a.match: no parameter matches '*.bais'. Did you mean '*.bias'?"));
  CHECK(contains(refused("{a: {match: \"*\"}, b: {match: \"0.*\"}}"),
                 "optimizer.groups.b: the groups before it take all"));
  CHECK(contains(refused("{default: {match: \"*\"}}"), "call it otherwise"));
  CHECK(refused("{a: {match: \"*\"}}").empty());
}

TEST_CASE("begin, accumulate and finish equal one whole batch") {
  for (const char* optimizer : {"{type: sgd, lr: 0.5, momentum: 0.9}", "{type: adam, lr: 0.1}"}) {
    Experiment whole(net, optimizer), parts(net, optimizer);
    for (Experiment* experiment : {&whole, &parts}) {
      experiment->assembly.clip_grad_norm = 0.05;
      experiment->declare({6, 4});
    }
    for (int update = 0; update < 2; ++update) {
      whole.run(Phase::whole, inputs, targets, 0, 6);
      parts.run(Phase::begin, inputs, targets, 0, 3, 3.0 / 6);
      const RefTensor between = parts.at("model/0.weight");
      parts.run(Phase::accumulate, inputs, targets, 3, 2, 2.0 / 6);
      CHECK(parts.at("model/0.weight").data == between.data);
      parts.run(Phase::finish, inputs, targets, 5, 1, 1.0 / 6);
      CHECK(parts.at("model/0.weight").data != between.data);
    }
    for (const std::string& name : model_parameters(whole)) {
      CAPTURE(name);
      for (std::int64_t i = 0; i < whole.at(name).size(); ++i)
        CHECK(parts.at(name)[i] == doctest::Approx(whole.at(name)[i]).epsilon(1e-9));
    }
    CHECK(parts.at("metrics/train/loss/0")[0] == doctest::Approx(whole.at("metrics/train/loss/0")[0]));
    CHECK(parts.at("metrics/train/accuracy/0")[0] == whole.at("metrics/train/accuracy/0")[0]);
  }
}

TEST_CASE("gradients are clipped by the norm over all groups, and by value") {
  const auto moved = [](std::optional<double> norm, std::optional<double> value) {
    Experiment experiment(net, "{type: sgd, lr: 1, groups: {biases: {match: \"*.bias\"}}}");
    experiment.assembly.clip_grad_norm = norm;
    experiment.assembly.clip_grad_value = value;
    experiment.declare({6, 4});
    bind_state(experiment.state, experiment.bindings);
    std::map<std::string, RefTensor> before = experiment.bindings.state;
    experiment.run(Phase::whole, inputs, targets, 0, 6);
    double square = 0, most = 0;
    for (const std::string& name : model_parameters(experiment)) {
      for (std::int64_t i = 0; i < before.at(name).size(); ++i) {
        const double step = before.at(name)[i] - experiment.at(name)[i];
        square += step * step;
        most = std::max(most, std::abs(step));
      }
    }
    return std::pair(std::sqrt(square), most);
  };
  const auto [norm, most] = moved({}, {});
  CHECK(norm > 0.1);
  CHECK(moved(norm / 4, {}).first == doctest::Approx(norm / 4).epsilon(1e-4));
  CHECK(moved(norm * 4, {}).first == doctest::Approx(norm));
  CHECK(moved({}, most / 2).second == doctest::Approx(most / 2));
}

TEST_CASE("a loss that is not finite commits nothing if so asked") {
  RefTensor broken = inputs;
  broken[0] = std::numeric_limits<double>::quiet_NaN();
  for (const bool skip : {true, false}) {
    Experiment experiment(net, "{type: adam, lr: 0.1}");
    experiment.assembly.skip_nonfinite = skip;
    experiment.declare({6, 4});
    bind_state(experiment.state, experiment.bindings);
    const RefTensor before = experiment.at("model/2.weight");
    experiment.run(Phase::whole, broken, targets, 0, 6);
    CHECK((experiment.at("model/2.weight").data == before.data) == skip);
  }
  // One bad batch of several spoils the update.
  Experiment experiment(net, "{type: adam, lr: 0.1}");
  experiment.assembly.skip_nonfinite = true;
  experiment.declare({6, 4});
  experiment.run(Phase::begin, broken, targets, 0, 3, 0.5);
  const RefTensor before = experiment.at("model/2.weight");
  experiment.run(Phase::finish, broken, targets, 3, 3, 0.5);
  CHECK(experiment.at("model/2.weight").data == before.data);
  CHECK(experiment.at("optimizer/default/step")[0] == 0.0);
}

TEST_CASE("evaluation reports sums and gives the output that inference applies") {
  Experiment experiment("{type: sequential, layers: [{type: linear, out_features: 3}], output: softmax}",
                        "{type: sgd}");
  const Interpretation result = experiment.run(Phase::evaluate, inputs, targets, 0, 6);
  const RefTensor& output = result.outputs.at("output");
  CHECK(output.shape == Shape{6, 3});
  CHECK(output[0] + output[1] + output[2] == doctest::Approx(1.0));
  const auto& reported = experiment.assembly.reported("val");
  REQUIRE(reported.size() == 3);
  CHECK(reported[0].name == "loss");
  CHECK(reported[2].name == "top");
  CHECK(experiment.assembly.reported("train").empty());
  experiment.run(Phase::evaluate, inputs, targets, 0, 2);  // another batch size adds to the same sums
  CHECK(experiment.assembly.reported("val").size() == 3);
  const double sum = experiment.at("metrics/val/accuracy/0")[0];
  CHECK(Assembly::finish(reported[1], std::vector<double>{sum}, 8) == doctest::Approx(sum / 8));
}

TEST_CASE("parameters that the loss does not reach, and fields that the data lacks, are named") {
  Experiment unused(
      "{type: graph, nodes: {a: {type: linear, out_features: 3}, b: {type: linear, out_features: 3, inputs: [input]}}, "
      "outputs: [a]}",
      "{type: sgd}");
  unused.declare({6, 4});
  CHECK(contains(refusal([&] { unused.run(Phase::whole, inputs, targets, 0, 6); }),
                 "does not depend on b.weight, b.bias"));
  CHECK(contains(refusal([] {
                   Batch{{{"input", {}}, {"label", {}}}, 1}.field("target");
                 }),
                 "no field 'target'. It has: input, label."));
  CHECK(contains(refusal([] {
                   Experiment("{type: sequential, layers: [relu]}", "{type: sgd}").declare({6, 4});
                 }),
                 "no parameters"));
}
