// State that lies as programs read it: nothing is reordered in a step, and whoever else looks sees it row-major.
#include "program/place_states.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <numeric>
#include <string>
#include <vector>

#include "program/program.h"
#include "program/toy.h"

using namespace toy;

namespace {

const BuildContext context;
const Layout swapped("ba");

/// A matrix and a vector that are lowered by what the step makes of them, packed, and a slot that sums that up.
struct Training {
  StateSpec spec;
  int w = spec.declare({"model/w", {DType::f32, {3, 5}}, Init::uniform(-1.0, 1.0)});
  int v = spec.declare({"model/v", {DType::f32, {7}}, Init::uniform(-1.0, 1.0)});
  int group = spec.make_group("parameters/default", {w, v});
  int slots = spec.make_group_like("optimizer/sum", group, "optimizer/sum", Init::zeros(), true);
  int alone = spec.declare({"alone", {DType::f32, {3, 5}}, Init::uniform(-1.0, 1.0)});

  Graph training() {
    Graph graph(spec);
    Builder builder(graph, context, true);
    PackAttributes pack;
    pack.total = spec[group].type.elements();
    pack.offsets = {spec[w].root_offset, spec[v].root_offset};
    pack.group = group;
    const Value of_w = builder.apply1("toy_swapped", nullptr, {graph.state(w)});
    const Value of_v = builder.apply1("toy_axpy", nullptr, {graph.state(v), graph.state(v)});
    const Value packed = builder.apply1("pack", std::make_shared<PackAttributes>(pack), {of_w, of_v});
    graph.update(group, builder.apply1("toy_descend", nullptr, {graph.state(group), packed}));
    graph.update(slots, builder.apply1("toy_axpy", nullptr, {graph.state(slots), packed}));
    return graph;
  }
  Plan plan() {
    Graph graph = training();
    return plan_program(graph, {.device = "toy"});
  }
  bool place() {
    const Plan now = plan();
    return place_states(spec, {now});
  }
};

int reorders(const Plan& plan) {
  return static_cast<int>(
      std::ranges::count_if(plan.steps, [](const PlannedStep& step) { return step.op->name() == "reorder"; }));
}

std::vector<float> numbers(std::int64_t count) {
  std::vector<float> all(static_cast<std::size_t>(count));
  std::iota(all.begin(), all.end(), 1.0f);
  return all;
}

/// All saved state, after so many runs.
std::vector<std::vector<float>> trained(Training& training, ToyDevice& device, int runs) {
  StateStore store(device, training.spec);
  ScalarRow scalars(device);
  ProgramSet set(device, store, scalars);
  store.initialise(1);
  Program& program = set.add(training.plan());
  for (int run = 0; run < runs; ++run) program.run();
  std::vector<std::vector<float>> all;
  for (const char* name : {"model/w", "model/v", "optimizer/sum/w", "optimizer/sum/v"})
    all.push_back(store.floats(name));
  return all;
}

}  // namespace

TEST_CASE("what a step reorders each time is placed so, with all groups that are like it") {
  Training training;
  CHECK(reorders(training.plan()) == 2);  // of w, and of what is packed
  CHECK(training.place());
  CHECK(training.spec[training.w].layout == swapped);
  CHECK(training.spec[training.spec.find("optimizer/sum/w")].layout == swapped);
  CHECK(training.spec[training.v].layout == Layout());
  CHECK(training.spec[training.alone].layout == Layout());
  CHECK(reorders(training.plan()) == 0);
  CHECK(!training.place());
  const int later = training.spec.make_group_like("averages/ema", training.group, "average/ema", Init::zeros(), true);
  CHECK(training.spec[training.spec.members(later)[0]].layout == swapped);
}

TEST_CASE("training gives the same bits wherever state lies, and whoever reads it sees it row-major") {
  for (const int runs : {0, 1, 3}) {
    for (const int together : {1, 4}) {
      Training rows, placed;
      placed.place();
      ToyDevice device(together);
      CHECK(trained(placed, device, runs) == trained(rows, device, runs));
    }
  }
}

TEST_CASE("state that is placed is written and read row-major, and lies as it is placed") {
  Training training;
  training.place();
  ToyDevice device;
  StateStore store(device, training.spec);
  CHECK(StateStore::exchange_bytes(training.spec, device) == training.spec[training.w].type.bytes());
  CHECK(StateStore::exchange_bytes(Training().spec, device) == 0);
  const std::vector<float> written = numbers(15);
  store.write(training.w, written.data());
  std::vector<float> read(15);
  store.read(training.w, read.data());
  CHECK(read == written);
  const auto* there = static_cast<const float*>(store.address(training.w));
  for (int row = 0; row < 3; ++row) {
    for (int column = 0; column < 5; ++column)
      CHECK(there[column * 3 + row] == written[static_cast<std::size_t>(row * 5 + column)]);
  }
}

TEST_CASE("programs that want a placed variable otherwise have a working copy, or a reorder where they change it") {
  Training training;
  training.place();
  ToyDevice device;
  StateStore store(device, training.spec);
  ScalarRow scalars(device);
  ProgramSet set(device, store, scalars);
  store.initialise(1);
  const std::vector<float> written = numbers(15);
  store.write(training.w, written.data());
  std::vector<float> expected = written;
  for (float& value : expected) value *= 3.0f;

  SUBCASE("read alone") {
    Graph graph(training.spec);
    Builder builder(graph, context, true);
    const Value w = graph.state(training.w);
    graph.update(training.alone, builder.apply1("toy_axpy", nullptr, {w, w}));
    Program& program = set.add(plan_program(graph, {.device = "toy"}));
    CHECK(reorders(program.plan()) == 0);
    program.run();
    CHECK(store.floats("alone") == expected);
    std::vector<float> others(15, 2.0f);
    store.write(training.w, others.data());
    program.run();
    CHECK(store.floats("alone") == std::vector<float>(15, 6.0f));
  }
  SUBCASE("changed") {
    Graph graph(training.spec);
    Builder builder(graph, context, true);
    const Value w = graph.state(training.w);
    graph.update(training.w, builder.apply1("toy_axpy", nullptr, {w, w}));
    graph.update(training.alone, w);
    Program& program = set.add(plan_program(graph, {.device = "toy"}));
    program.run();
    CHECK(store.floats("model/w") == expected);
    CHECK(store.floats("alone") == written);
  }
  SUBCASE("by an op that has it as it lies") {
    Graph graph(training.spec);
    Builder builder(graph, context, true);
    graph.update(training.w, builder.apply1("toy_swapped", nullptr, {graph.state(training.w)}));
    Program& program = set.add(plan_program(graph, {.device = "toy"}));
    CHECK(reorders(program.plan()) <= 1);  // the toy's kernel does not work in place
    program.run();
    std::vector<float> more = written;
    for (float& value : more) value += 1.0f;
    CHECK(store.floats("model/w") == more);
  }
}

TEST_CASE("a program that changes nothing else has no say, nor has one that wants blocks") {
  Training training;
  Graph graph(training.spec);
  Builder builder(graph, context, true);
  graph.update(training.alone, builder.apply1("toy_swapped", nullptr, {graph.state(training.w)}));
  const Plan reading = plan_program(graph, {.device = "toy"});
  CHECK(!place_states(training.spec, {reading}));
  CHECK_THROWS_AS(training.spec.place(training.w, Layout("Ab16a")), Error);
}
