#include "graph/graph.h"

#include <doctest/doctest.h>

#include <memory>

#include "base/error.h"
#include "graph/builder.h"
#include "graph/builtin.h"
#include "graph/interpreter.h"

using namespace trainctl;

namespace {

struct Fixture {
  StateSpec state;
  Graph graph{state};
  BuildContext context{.seed = 7, .live = {"optimizer.lr"}};
  Builder builder{graph, context, true};
  Value x = graph.input("x", {DType::f32, {3}});

  Value apply(const char* op, const Values& inputs) { return builder.apply1(op, nullptr, inputs); }
  Interpretation run(Bindings bindings = {}) {
    bindings.inputs["x"] = tensor({1.0, 2.0, 3.0});
    return interpret(graph, bindings);
  }
  static RefTensor tensor(std::vector<double> values) {
    RefTensor result(Shape{static_cast<std::int64_t>(values.size())});
    result.data = std::move(values);
    return result;
  }
};

using Numbers = std::vector<double>;

}  // namespace

TEST_CASE_FIXTURE(Fixture, "an update is seen after the program, never by a reader of the old version") {
  const int index = state.declare({"a", {DType::f32, {3}}, Init::zeros()});
  const Value old = graph.state(index);
  CHECK(graph.latest(index) == old);
  const Value next = apply("add", {old, x});
  graph.update(index, next);
  CHECK(graph.latest(index) == next);
  CHECK(graph.state(index) == old);
  graph.output("old cubed", apply("cube", {old}));
  const Interpretation run = this->run({.inputs = {}, .state = {{"a", tensor({1.0, 1.0, 2.0})}}});
  CHECK(run.new_state.at("a").data == Numbers{2.0, 3.0, 5.0});
  CHECK(run.outputs.at("old cubed").data == Numbers{1.0, 1.0, 8.0});
}

TEST_CASE_FIXTURE(Fixture, "a variable is updated by its own type, and the last update counts") {
  const int index = state.declare({"a", {DType::f32, {3}}, Init::zeros()});
  CHECK_THROWS_AS(graph.update(index, apply("sum", {x})), Error);
  graph.update(index, x);
  CHECK(graph.latest(index) == x);
  const Value y = apply("cube", {graph.latest(index)});
  graph.update(index, y);
  CHECK(graph.latest(index) == y);
  CHECK(graph.updates().size() == 1);
}

TEST_CASE_FIXTURE(Fixture, "an update may be another variable's old value") {
  const int a = state.declare({"a", {DType::f32, {3}}, Init::zeros()}),
            b = state.declare({"b", {DType::f32, {3}}, Init::zeros()});
  graph.update(a, graph.state(b));
  graph.update(b, graph.state(a));
  const Interpretation run = this->run({.inputs = {}, .state = {{"a", tensor({1, 1, 1})}, {"b", tensor({2, 2, 2})}}});
  CHECK(run.new_state.at("a").data == Numbers{2, 2, 2});
  CHECK(run.new_state.at("b").data == Numbers{1, 1, 1});
}

TEST_CASE_FIXTURE(Fixture, "scalars, constants and state are one value however often they are asked for") {
  CHECK(graph.scalar("step", DType::i64) == builder.step());
  CHECK_THROWS_AS(graph.scalar("step", DType::f32), Error);
  CHECK(graph.constant(2.0) == graph.constant(2.0));
  CHECK(graph.constant(2.0) != graph.constant(2.0, DType::f64));
  CHECK(graph.constant(2.0) != graph.constant({DType::f32, {3}}, {2.0}));
  CHECK_THROWS_AS(graph.constant({DType::f32, {3}}, {1.0, 2.0}), Error);
}

TEST_CASE_FIXTURE(Fixture, "a number is a scalar of the step where a policy drives it, else a constant") {
  CHECK(graph.info(builder.number(0.1, "optimizer.lr").id()).kind == ValueInfo::Kind::scalar);
  CHECK(graph.info(builder.number(0.1, "optimizer.momentum").id()).kind == ValueInfo::Kind::constant);
}

TEST_CASE_FIXTURE(Fixture, "dead nodes go, the others keep their values") {
  const Value dead = apply("cube", {x});
  apply("sum", {dead});
  const Value kept = apply("cube", {x});
  const Value total = apply("sum", {kept});
  graph.output("total", total);
  const Values gradients = builder.gradients(total, Values{x});
  graph.output("gradient", gradients[0]);
  const auto before = run().outputs;
  const std::size_t nodes = graph.nodes().size();
  graph.remove_dead_nodes();
  CHECK(graph.nodes().size() == nodes - 2);
  for (std::size_t i = 0; i < graph.nodes().size(); ++i) {
    const GraphNode& node = graph.nodes()[i];
    for (const int output : node.outputs) CHECK(graph.info(output).node == static_cast<int>(i));
    if (node.op->name() == "cube_backward") CHECK(graph.nodes()[node.forward].op->name() == "cube");
  }
  const auto after = run().outputs;
  CHECK(after.at("total").data == before.at("total").data);
  CHECK(after.at("gradient").data == Numbers{3.0, 12.0, 27.0});
}

TEST_CASE_FIXTURE(Fixture, "a node with one output in use stays whole") {
  const Values halves = builder.apply("split", nullptr, {x});
  graph.output("minus", halves[1]);
  graph.remove_dead_nodes();
  CHECK(graph.nodes().size() == 1);
  CHECK(run().outputs.at("minus").data == Numbers{-1.0, -2.0, -3.0});
}

TEST_CASE_FIXTURE(Fixture, "equal graphs have equal text and hash, others do not") {
  const auto build = [](double constant, bool reversed) {
    StateSpec state;
    Graph graph(state);
    BuildContext context;
    Builder builder(graph, context, true);
    const Value a = graph.input("a", {DType::f32, {}}), c = graph.constant(constant);
    graph.output("y", builder.apply1("add", nullptr, reversed ? Values{c, a} : Values{a, c}));
    return std::pair(graph.text(), graph.hash());
  };
  CHECK(build(1.5, false) == build(1.5, false));
  CHECK(build(1.5, false).second != build(2.5, false).second);
  CHECK(build(1.5, false).second != build(1.5, true).second);
  CHECK(build(1.5, false).first == "%2:f32() = add[](a:f32(), 1.5:f32(), ) @\n%2 -> y\n");
  CHECK(build(1.5, false).second.size() == 16);
}

TEST_CASE_FIXTURE(Fixture, "reshape is a view and pack places its inputs") {
  const Value y = builder.apply1("reshape", std::make_shared<ReshapeAttributes>(Shape{3, 1}), {x});
  CHECK(y.shape() == Shape{3, 1});
  CHECK_THROWS_WITH_AS(builder.apply1("reshape", std::make_shared<ReshapeAttributes>(Shape{2, 2}), {x}),
                       "cannot reshape (3) to (2, 2): 3 elements are not 4", Error);
  auto pack = std::make_shared<PackAttributes>();
  pack->total = 8;
  pack->offsets = {4, 0};
  const Value packed = builder.apply1("pack", pack, {y, graph.constant({DType::f32, {2}}, {9.0, 8.0})});
  graph.output("packed", packed);
  CHECK(run().outputs.at("packed").data == Numbers{9.0, 8.0, 0.0, 0.0, 1.0, 2.0, 3.0, 0.0});
}

TEST_CASE_FIXTURE(Fixture, "the gradient of a reshape is the reshape back") {
  const Value y = builder.apply1("reshape", std::make_shared<ReshapeAttributes>(Shape{3, 1}), {x});
  graph.output("gradient", builder.gradients(apply("sum", {apply("cube", {y})}), Values{x})[0]);
  CHECK(run().outputs.at("gradient").data == Numbers{3.0, 12.0, 27.0});
}

TEST_CASE_FIXTURE(Fixture, "an operand of another graph is refused") {
  Graph other(state);
  CHECK_THROWS_AS(apply("add", {x, other.input("y", {DType::f32, {3}})}), Error);
}

TEST_CASE_FIXTURE(Fixture, "what is not bound is named") {
  graph.output("y", apply("add", {x, graph.input("missing", {DType::f32, {3}})}));
  CHECK_THROWS_WITH_AS(run(), "'missing' is not bound", Error);
}
