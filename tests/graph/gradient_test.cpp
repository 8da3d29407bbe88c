#include <doctest/doctest.h>

#include "base/error.h"
#include "graph/builder.h"
#include "graph/interpreter.h"

using namespace trainctl;

namespace {

struct Fixture {
  StateSpec state;
  Graph graph{state};
  BuildContext context;
  Builder builder{graph, context, true};
  Value x = graph.input("x", {DType::f32, {2}});
  Value y = graph.input("y", {DType::f32, {2}});

  Value apply(const char* op, const Values& inputs) { return builder.apply1(op, nullptr, inputs); }
  std::vector<double> value(Value wanted) {
    graph.output("wanted", wanted);
    RefTensor a({2}), b({2});
    a.data = {1.0, 2.0};
    b.data = {-1.0, 3.0};
    return interpret(graph, {.inputs = {{"x", a}, {"y", b}}, .state = {}}).outputs.at("wanted").data;
  }
};

using Numbers = std::vector<double>;

}  // namespace

TEST_CASE_FIXTURE(Fixture, "a value used twice gets the sum of both gradients") {
  const Value loss = apply("sum", {apply("add", {apply("cube", {x}), x})});
  CHECK(value(builder.gradients(loss, Values{x})[0]) == Numbers{4.0, 13.0});
}

TEST_CASE_FIXTURE(Fixture, "both operands may be one value") {
  const Value loss = apply("sum", {apply("add", {x, x})});
  CHECK(value(builder.gradients(loss, Values{x})[0]) == Numbers{2.0, 2.0});
}

TEST_CASE_FIXTURE(Fixture, "gradients flow through branches that meet again") {
  const Value root = apply("cube", {x});
  const Value left = apply("cube", {root}), right = apply("add", {root, y});
  const Value loss = apply("sum", {apply("add", {left, right})});
  const Values gradients = builder.gradients(loss, Values{x, y});
  CHECK(value(gradients[0]) == Numbers{9.0 + 3.0, 9.0 * 256.0 + 12.0});  // d(x^9 + x^3)/dx
  CHECK(gradients[1]);
}

TEST_CASE_FIXTURE(Fixture, "gradients can be asked for several times, of several objectives") {
  const Value cubed = apply("cube", {x});
  const Value first = apply("sum", {cubed}), second = apply("sum", {apply("cube", {cubed})});
  const Values a = builder.gradients(first, Values{x});
  const Values b = builder.gradients(second, Values{x});
  const Values again = builder.gradients(first, Values{x});
  CHECK(value(a[0]) == Numbers{3.0, 12.0});
  CHECK(value(apply("add", {b[0], again[0]})) == Numbers{9.0 + 3.0, 9.0 * 256.0 + 12.0});
}

TEST_CASE_FIXTURE(Fixture, "what the objective does not depend on has no gradient, and costs no node") {
  const Value loss = apply("sum", {apply("cube", {x})});
  const std::size_t before = graph.nodes().size();
  CHECK_FALSE(builder.gradients(loss, Values{y})[0]);
  CHECK(graph.nodes().size() == before);
}

TEST_CASE_FIXTURE(Fixture, "the gradient with respect to a value in between stops there") {
  const Value cubed = apply("cube", {x});
  const Value loss = apply("sum", {cubed});
  CHECK(value(builder.gradients(loss, Values{cubed})[0]) == Numbers{1.0, 1.0});
  for (const GraphNode& node : graph.nodes()) CHECK(node.op->name() != "cube_backward");
}

TEST_CASE_FIXTURE(Fixture, "an output that nothing depends on gets no cotangent") {
  const Values halves = builder.apply("split", nullptr, {apply("cube", {x})});
  graph.output("unused", halves[1]);
  CHECK(value(builder.gradients(apply("sum", {halves[0]}), Values{x})[0]) == Numbers{3.0, 12.0});
}

TEST_CASE_FIXTURE(Fixture, "gradient nodes know their forward node and bear its path") {
  Value loss;
  {
    const Builder::Scope outer(builder, "features");
    const Builder::Scope inner(builder, "3");
    loss = apply("cube", {x});
  }
  loss = apply("sum", {loss});
  builder.gradients(loss, Values{x});
  const GraphNode& last = graph.nodes().back();
  CHECK(last.op->name() == "cube_backward");
  CHECK(last.forward == 0);
  CHECK(last.path == "features.3");
}

TEST_CASE_FIXTURE(Fixture, "an objective must be a scalar") {
  CHECK_THROWS_AS(builder.gradients(x, Values{x}), Error);
}
