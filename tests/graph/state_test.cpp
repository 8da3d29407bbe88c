#include "graph/state.h"

#include <doctest/doctest.h>

#include "base/error.h"
#include "graph/builder.h"

using namespace trainctl;

namespace {

StateVariable variable(std::string name, Shape shape, DType dtype = DType::f32) {
  return {std::move(name), {dtype, shape}, Init::zeros()};
}

}  // namespace

TEST_CASE("a name is declared once and keeps its type") {
  StateSpec spec;
  const int a = spec.declare(variable("a", {3}));
  CHECK(spec.declare(variable("a", {3})) == a);
  CHECK(spec.size() == 1);
  CHECK(spec.find("a") == a);
  CHECK(spec.find("b") == -1);
  CHECK_THROWS_WITH_AS(spec.declare(variable("a", {4})), "state 'a' is declared as f32(3) and as f32(4)", Error);
}

TEST_CASE("members of a group lie behind each other at aligned offsets") {
  StateSpec spec;
  const int a = spec.declare(variable("model/a", {3})), b = spec.declare(variable("model/b", {4, 5})),
            c = spec.declare(variable("model/c", {16}));
  const int root = spec.make_group("group/parameters", {c, a, b});
  CHECK(spec.members(root) == std::vector<int>{c, a, b});
  CHECK(spec[c].root_offset == 0);
  CHECK(spec[a].root_offset == 16);
  CHECK(spec[b].root_offset == 32);
  CHECK(spec[root].type == TensorType{DType::f32, {64}});
  CHECK_FALSE(spec[root].saved);
  CHECK(spec[root].root == -1);
}

TEST_CASE("a variable joins one group, of its own dtype") {
  StateSpec spec;
  const int a = spec.declare(variable("a", {3})), b = spec.declare(variable("b", {3})),
            n = spec.declare(variable("n", {3}, DType::i64));
  CHECK_THROWS_AS(spec.make_group("mixed", {a, n}), Error);
  StateSpec fresh;
  const int first = fresh.declare(variable("a", {3}));
  fresh.make_group("one", {first});
  CHECK_THROWS_AS(fresh.make_group("two", {first}), Error);
  CHECK_THROWS_AS(spec.make_group("none", {}), Error);
  CHECK(spec[b].root == -1);
}

TEST_CASE("slots have their parameters' offsets and names") {
  StateSpec spec;
  const int a = spec.declare(variable("model/0.weight", {3})), b = spec.declare(variable("model/0.bias", {4}));
  const int root = spec.make_group("group/parameters", {a, b});
  const int slots = spec.make_group_like("group/m", root, "optimizer/default/exp_avg", Init::zeros(), true);
  CHECK(spec[slots].type == spec[root].type);
  const std::vector<int> members = spec.members(slots);
  REQUIRE(members.size() == 2);
  CHECK(spec[members[0]].name == "optimizer/default/exp_avg/0.weight");
  CHECK(spec[members[1]].name == "optimizer/default/exp_avg/0.bias");
  CHECK(spec[members[1]].root_offset == spec[b].root_offset);
  CHECK(spec[members[0]].saved);
  CHECK_FALSE(spec[members[0]].trainable);
}

TEST_CASE("parameters are named by scope and are trainable") {
  StateSpec spec;
  Graph graph(spec);
  const BuildContext context{.seed = 1, .live = {}};
  Builder builder(graph, context, true);
  std::uint64_t outside = builder.random_stream(), inside = 0;
  {
    const Builder::Scope scope(builder, "layer1");
    const Builder::Scope unnamed(builder, "");
    const Value weight = builder.parameter("weight", {3, 2}, Init::normal(0.0, 1.0));
    CHECK(weight.shape() == Shape{3, 2});
    CHECK(builder.path() == "layer1");
    inside = builder.random_stream();
  }
  CHECK(builder.path() == "");
  CHECK(inside != outside);
  const int index = spec.find("model/layer1.weight");
  REQUIRE(index >= 0);
  CHECK(spec[index].trainable);
  CHECK(spec[index].init.kind == Init::Kind::normal);
}
