#include <doctest/doctest.h>

#include "nn/fixture.h"

using namespace trainctl;
using namespace trainctl::test;
using Names = std::vector<std::string>;

namespace {

struct Built {
  Model model;
  Bench bench;
  Values outputs;

  Built(const std::string& yaml, const Shape& input) : model(from_yaml<Model>(yaml, "model")) {
    outputs = model.build(bench.builder, {bench.input(input)});
  }
  Names names() const { return parameter_names(bench.state); }
  RefTensor value() {
    bind_state(bench.state, bench.bindings);
    return bench.run().values.at(outputs.at(0).id());
  }
};

std::string refused(const std::string& yaml, const Shape& input = {2, 3}) {
  return refusal([&] { Built(yaml, input); });
}

}  // namespace

TEST_CASE("a sequential names its parameters by place, as PyTorch does") {
  CHECK(Built("{type: sequential, layers: [flatten, {type: linear, out_features: 4}, relu, {type: sequential, layers: "
              "[{type: linear, out_features: 2, bias: false}]}]}",
              {2, 3})
            .names() == Names{"1.weight", "1.bias", "3.0.weight"});
  CHECK(Built("{type: sequential, layers: [{type: linear, name: head, out_features: 4}]}", {2, 3}).names() ==
        Names{"head.weight", "head.bias"});
}

TEST_CASE("a repeated layer takes as many places") {
  const std::string linear = "{type: linear, out_features: 3, bias: false";
  CHECK(Built("{type: sequential, layers: [" + linear + ", repeat: 2}, relu, " + linear + "}]}", {2, 3}).names() ==
        Names{"0.weight", "1.weight", "3.weight"});
  CHECK(Built("{type: sequential, layers: [relu, " + linear + ", name: mix, repeat: 2}, " + linear + "}]}", {2, 3})
            .names() == Names{"mix.0.weight", "mix.1.weight", "3.weight"});
  CHECK(Built("{type: graph, nodes: {mix: " + linear + ", repeat: 2}, out: {type: relu, inputs: [mix]}}}", {2, 3})
            .names() == Names{"mix.0.weight", "mix.1.weight"});
  CHECK(Built(linear + ", repeat: 2}", {2, 3}).names() == Names{"0.weight", "1.weight"});
}

TEST_CASE("a residual adds its shortcut and names both") {
  Built built(
      "{type: residual, layers: [{type: linear, out_features: 2}, relu, {type: linear, out_features: 2}], shortcut: "
      "[{type: linear, out_features: 2, bias: false}], activation: relu}",
      {2, 3});
  CHECK(built.names() == Names{"body.0.weight", "body.0.bias", "body.2.weight", "body.2.bias", "shortcut.0.weight"});
  Built identity("{type: residual, layers: [tanh]}", {2, 3});
  const RefTensor y = identity.value();
  const double x = identity.bench.bindings.inputs.at("input")[4];
  CHECK(y[4] == doctest::Approx(x + std::tanh(x)));
}

TEST_CASE("sugar and graph build the same computation") {
  Built sugar("{type: residual, layers: [tanh, sigmoid], activation: relu}", {2, 3});
  Built graph(
      "{type: graph, nodes: {body: {type: sequential, layers: [tanh, sigmoid]}, sum: {type: add, inputs: [body, "
      "input]}, out: relu}}",
      {2, 3});
  CHECK(sugar.value().data == graph.value().data);
  Built branches("{type: parallel, branches: {a: tanh, b: relu}}", {2, 3});
  Built joined("{type: graph, nodes: {a: tanh, b: {type: relu, inputs: [input]}, c: {type: concat, inputs: [a, b]}}}",
               {2, 3});
  CHECK(branches.value().data == joined.value().data);
}

TEST_CASE("parallel names its branches") {
  const std::string linear = "{type: linear, out_features: 3, bias: false}";
  CHECK(Built("{type: parallel, branches: [" + linear + ", " + linear + "]}", {2, 3}).names() ==
        Names{"0.weight", "1.weight"});
  CHECK(Built("{type: parallel, branches: {left: " + linear + ", right: relu}}", {2, 3}).names() ==
        Names{"left.weight"});
  auto model = from_yaml<Model>("{type: parallel, branches: {a: {type: dropout, p: 0.25}, b: relu}}", "model");
  std::vector<std::string> live;
  visit_live(model, "model", [&](Live&, const std::string& path) { live.push_back(path); });
  CHECK(live == Names{"model.branches.a.p"});
}

TEST_CASE("graph nodes stand in any order and give one or several values") {
  Built later(
      "{type: graph, nodes: {sum: {type: add, inputs: [a, input]}, a: {type: tanh, inputs: [input]}}, outputs: [sum]}",
      {2, 3});
  CHECK(later.value()[0] == doctest::Approx(std::tanh(number_at("input", 0)) + number_at("input", 0)));
  Built two(
      "{type: graph, nodes: {pair: {type: graph, nodes: {a: relu, b: {type: tanh, inputs: [input]}}, outputs: [a, b]}, "
      "second: {type: identity, inputs: [pair.1]}}}",
      {2, 3});
  CHECK(two.value()[0] == doctest::Approx(std::tanh(number_at("input", 0))));
}

TEST_CASE("wrong wirings are refused with the nearest name") {
  CHECK(contains(refused("{type: graph, nodes: {conv: tanh, sum: {type: add, inputs: [cnov, input]}}}"),
                 "'cnov', which is no node. Did you mean 'conv'?"));
  CHECK(contains(refused("{type: graph, nodes: {a: {type: relu, inputs: [b]}, b: {type: relu, inputs: [a]}}}"),
                 "gives itself"));
  CHECK(contains(refused("{type: graph, nodes: {a: {type: relu, inputs: [a]}}}"), "gives itself"));
  CHECK(contains(refused("{type: graph, nodes: {a: relu}, outputs: [b]}"), "'outputs' has 'b'"));
  CHECK(contains(refused("{type: graph, nodes: {a: relu, b: {type: tanh, inputs: [a.1]}}}"), "'a' gives 1 value"));
  CHECK(contains(refused("{type: graph, nodes: {input: relu}}"), "rename it"));
  CHECK(contains(refused("{type: graph, nodes: {a.b: relu}}"), "no '.'"));
  for (const char* empty :
       {"{type: graph, nodes: {}}", "{type: residual, layers: []}", "{type: parallel, branches: []}"})
    CHECK(contains(refused(empty), "must not be empty"));
  CHECK(contains(refused("{type: graph, nodes: {a: relu, b: {type: tanh, inputs: [a, input]}}}"),
                 "tanh takes one input, got 2"));
  CHECK(contains(refused("{type: sequential, layers: [{type: relu, inputs: [x]}]}"),
                 "only nodes of a graph have 'inputs'"));
  CHECK(contains(refused("{type: sequential, layers: [{type: relu, name: a}, {type: tanh, name: a}]}"),
                 "named 'a' is there already"));
}

TEST_CASE("the layer table has each layer once, outer before inner") {
  Built built(
      "{type: sequential, layers: [flatten, {type: sequential, name: head, layers: [{type: linear, out_features: 4}, "
      "relu]}]}",
      {2, 3});
  const auto& layers = built.bench.builder.layers();
  Names rows;
  for (const BuiltLayer& layer : layers) rows.push_back(fmt::format("{} {} {}", layer.depth, layer.path, layer.type));
  CHECK(rows == Names{"0 0 flatten", "0 head sequential", "1 head.0 linear", "1 head.1 relu"});
  CHECK(layers[1].parameters.size() == 2);
  CHECK(layers[2].parameters.size() == 2);
  CHECK(layers[3].parameters.empty());
  CHECK(layers[1].end_node == static_cast<int>(built.bench.graph.nodes().size()));
  CHECK(layers[2].outputs.at(0).shape() == Shape{2, 4});
  Built alone("{type: linear, out_features: 4}", {2, 3});
  REQUIRE(alone.bench.builder.layers().size() == 1);
  CHECK(alone.names() == Names{"weight", "bias"});
}
