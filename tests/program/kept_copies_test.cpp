// Programs whose optimizer keeps the bf16 copies of its parameters up to date.
#include <doctest/doctest.h>

#include <cmath>
#include <string>
#include <vector>

#include "program/program.h"
#include "program/toy.h"

using namespace toy;

namespace {

const RegisterOp<Narrow> narrow_op;
const RegisterOp<Descend> descend_op;
const RegisterKernel<NarrowKernel> narrow_kernel{"toy_narrow", "toy", priority::general, "toy"};
const RegisterKernel<DescendKernel> descend_kernel{"toy_descend", "toy", priority::general, "toy"};

const BuildContext context;
constexpr std::int64_t wide = 32, thin = 16;

/// A group of two parameters, a wide one and a thin one, that a step reads as bf16 and then lowers by what it was
/// given.
struct Training {
  ToyDevice device;
  StateSpec spec;
  int w = spec.declare({"w", {DType::f32, {wide}}, Init::zeros()});
  int v = spec.declare({"v", {DType::f32, {thin}}, Init::zeros()});
  int group = spec.make_group("group", {w, v});
  int lowered_by = spec.declare({"lowered_by", {DType::f32, {wide + thin}}, Init::zeros()});
  int zeros_w = spec.declare({"zeros_w", {DType::f32, {wide}}, Init::zeros()});
  int zeros_v = spec.declare({"zeros_v", {DType::f32, {thin}}, Init::zeros()});
  int seen_w = spec.declare({"seen_w", {DType::f32, {wide}}, Init::zeros()});
  int seen_v = spec.declare({"seen_v", {DType::f32, {thin}}, Init::zeros()});
  int seen_after = spec.declare({"seen_after", {DType::f32, {wide}}, Init::zeros()});
  Graph graph{spec};
  Builder builder{graph, context, true};
  std::unique_ptr<StateStore> store;
  std::unique_ptr<ScalarRow> scalars;
  std::unique_ptr<ProgramSet> set;

  /// What a step reads of a parameter.
  void see(int parameter, int zeros, int seen) {
    graph.update(seen, builder.apply1("toy_narrow", nullptr, {graph.state(zeros), graph.state(parameter)}));
  }
  void lower() {
    graph.update(group, builder.apply1("toy_descend", nullptr, {graph.state(group), graph.state(lowered_by)}));
  }
  Program& program() {
    store = std::make_unique<StateStore>(device, spec);
    scalars = std::make_unique<ScalarRow>(device);
    set = std::make_unique<ProgramSet>(device, *store, *scalars);
    store->initialise(1);
    write(group, 3.0f + 1.0f / 1024);
    write(lowered_by, 1.0f);
    return set->add(plan_program(graph, {.device = "toy"}));
  }
  void write(int state, float value) {
    store->write(state, std::vector<float>(spec[state].type.elements(), value).data());
  }
  float read(int state) const {
    std::vector<float> values(spec[state].type.elements());
    store->read(state, values.data());
    for (const float value : values) REQUIRE(value == values[0]);
    return values[0];
  }
};

int casts(const Plan& plan) {
  int count = 0;
  for (const PlannedStep& step : plan.steps)
    count += step.op->name() == "reorder" && plan.tensors[step.outputs[0]].type.dtype == DType::bf16;
  return count;
}

}  // namespace

TEST_CASE("an optimizer writes the bf16 copies that the step reads") {
  Training training;
  training.see(training.w, training.zeros_w, training.seen_w);
  training.lower();
  Program& program = training.program();
  REQUIRE(program.plan().kept_copies.size() == 1);
  CHECK(casts(program.plan()) == 0);
  CHECK(program.plan().steps.size() == 2);
  const int before = ReorderKernel::casts_run;
  program.run();
  CHECK(training.read(training.seen_w) == 3.0f);  // of before, and rounded
  CHECK(training.read(training.w) == 2.0f + 1.0f / 1024);
  program.run();
  CHECK(training.read(training.seen_w) == 2.0f);
  CHECK(ReorderKernel::casts_run == before + 1);  // at first, of what was initialised

  SUBCASE("what is written from outside is copied again") {
    training.write(training.w, 7.0f + 1.0f / 512);
    program.run();
    CHECK(training.read(training.seen_w) == 7.0f);
    program.run();
    CHECK(training.read(training.seen_w) == 6.0f);
  }
  SUBCASE("and so is what another program changes") {
    Graph change(training.spec);
    Builder builder(change, context, true);
    const Value w = change.state(training.group);
    change.update(training.group, builder.apply1("toy_axpy", nullptr, {w, w}));  // 3 times as much
    Program& other = training.set->add(plan_program(change, {.device = "toy"}));
    other.run();
    program.run();
    CHECK(training.read(training.seen_w) == 3.0f);
    CHECK(training.read(training.w) == 2.0f + 3.0f / 1024);
  }
}

TEST_CASE("runs that are held see the copies of those before them") {
  Training training;
  ToyDevice together(4);
  training.see(training.w, training.zeros_w, training.seen_w);
  training.lower();
  const Plan plan = training.program().plan();
  StateStore store(together, training.spec);
  ScalarRow scalars(together);
  ProgramSet set(together, store, scalars);
  store.initialise(1);
  const std::vector<float> nine(wide + thin, 9.0f), one(wide + thin, 1.0f);
  store.write(training.group, nine.data());
  store.write(training.lowered_by, one.data());
  Program& program = set.add(plan);
  for (int run = 0; run < 4; ++run) program.run();
  std::vector<float> seen(wide);
  store.read(training.seen_w, seen.data());
  CHECK(seen == std::vector<float>(wide, 6.0f));
  CHECK(together.replayed == std::vector<std::size_t>{4 * plan.steps.size()});
}

TEST_CASE("a small part of a group is cast by itself") {
  Training training;
  training.see(training.v, training.zeros_v, training.seen_v);
  training.lower();
  Program& program = training.program();
  CHECK(program.plan().kept_copies.empty());
  CHECK(casts(program.plan()) == 1);
}

TEST_CASE("a reader that comes after the optimizer has its own copy of what was before") {
  Training training;
  training.see(training.w, training.zeros_w, training.seen_w);
  training.lower();
  training.see(training.w, training.zeros_w, training.seen_after);
  Program& program = training.program();
  CHECK(program.plan().kept_copies.empty());
  program.run();
  CHECK(training.read(training.seen_after) == 3.0f);
  CHECK(training.read(training.w) == 2.0f + 1.0f / 1024);
}
