#include "program/program.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <set>
#include <tuple>

#include "graph/interpreter.h"
#include "program/toy.h"

using namespace toy;

namespace {

const RegisterOp<Axpy> axpy_op;
const RegisterOp<Swapped> swapped_op;
const RegisterOp<Free> free_op;
const RegisterOp<Both> both_op;
const RegisterKernel<FreeKernel> free_kernel{"toy_free", "toy", priority::general, "toy"};
const RegisterKernel<BothKernel> both_kernel{"toy_both", "toy", priority::general, "toy"};
const RegisterKernel<AxpyKernel> axpy_kernel{"toy_axpy", "toy", priority::general, "toy"};
const RegisterKernel<SwappedKernel> swapped_kernel{"toy_swapped", "toy", priority::general, "toy"};
const RegisterKernel<ReorderKernel> reorder_kernel{"reorder", "toy", priority::general, "toy"};

const BuildContext context;

/// State, a graph over it, and both ways of running it.
struct Bench {
  ToyDevice device;
  StateSpec spec;
  Graph graph{spec};
  Builder builder{graph, context, true};

  int declare(const std::string& name, Shape shape) {
    return spec.declare({name, {DType::f32, shape}, Init::uniform(-1.0, 1.0)});
  }
  Value axpy(Value a, Value b) { return builder.apply1("toy_axpy", nullptr, {a, b}); }
  Values both(Value a, Value b) { return builder.apply("toy_both", nullptr, {a, b}); }
  Value swapped(Value x) { return builder.apply1("toy_swapped", nullptr, {x}); }
};

RefTensor read(StateStore& store, int state) {
  std::vector<float> values(store.spec()[state].type.elements());
  store.read(state, values.data());
  RefTensor tensor(store.spec()[state].type.shape);
  std::ranges::copy(values, tensor.data.begin());
  return tensor;
}

/// All state variables, in their order.
std::vector<std::vector<double>> read_all(StateStore& store) {
  std::vector<std::vector<double>> all;
  for (int i = 0; i < store.spec().size(); ++i) all.push_back(read(store, i).data);
  return all;
}

/// Runs the graph as a program and by the interpreter, and compares every state variable after each run; then so many
/// runs in one launch.
Plan check_against_interpreter(Bench& bench) {
  StateStore store(bench.device, bench.spec);
  ScalarRow scalars(bench.device);
  ProgramSet set(bench.device, store, scalars);
  store.initialise(1);
  Graph original = bench.graph;  // planning may rewrite
  Program& program = set.add(plan_program(bench.graph, {.device = "toy"}));
  std::vector<std::vector<std::vector<double>>> after_runs;
  for (int run = 0; run < 4; ++run) {
    Bindings bindings;
    for (int i = 0; i < bench.spec.size(); ++i) bindings.state[bench.spec[i].name] = read(store, i);
    const Interpretation expected = interpret(original, bindings);
    program.run();
    for (const auto& update : original.updates()) {
      const RefTensor got = read(store, update.state);
      const RefTensor& want = expected.new_state.at(bench.spec[update.state].name);
      for (std::int64_t i = 0; i < got.size(); ++i) REQUIRE(got[i] == doctest::Approx(want[i]).epsilon(1e-5));
    }
    after_runs.push_back(read_all(store));
  }
  ToyDevice together(4);
  StateStore again(together, bench.spec);
  ScalarRow same(together);
  ProgramSet other(together, again, same);
  Program& held = other.add(program.plan());
  for (int runs = 1; runs <= 4; ++runs) {
    CAPTURE(runs);
    again.initialise(1);
    for (int run = 0; run < runs; ++run) held.run();
    CHECK(read_all(again) == after_runs[runs - 1]);
    CHECK(together.replayed.back() == runs * held.plan().steps.size());
  }
  return program.plan();
}

}  // namespace

TEST_CASE("an update whose readers come first is computed in place") {
  Bench bench;
  const int w = bench.declare("w", {4, 3});
  const Value old = bench.graph.state(w);
  bench.graph.update(w, bench.axpy(old, bench.axpy(old, old)));
  const Plan plan = check_against_interpreter(bench);
  CHECK(plan.steps.size() == 2);
}

TEST_CASE("a reader after the new version is computed still sees the old one") {
  Bench bench;
  const int w = bench.declare("w", {8});
  const int v = bench.declare("v", {8});
  const Value old = bench.graph.state(w);
  const Value next = bench.axpy(old, old);
  bench.graph.update(w, next);
  bench.graph.update(v, bench.axpy(old, next));
  const Plan plan = check_against_interpreter(bench);
  CHECK(plan.steps.size() == 3);  // the two and one copy at the end
}

TEST_CASE("a result that nobody reads takes no place that another one of its step has") {
  for (const int read : {0, 1}) {
    Bench bench;
    const int w = bench.declare("w", {8}), v = bench.declare("v", {8});
    const Value a = bench.axpy(bench.graph.state(w), bench.graph.state(v));
    const Value b = bench.swapped(bench.graph.state(v));
    bench.graph.update(w, bench.axpy(bench.both(a, b)[read], bench.graph.state(v)));
    CAPTURE(read);
    check_against_interpreter(bench);
  }
}

TEST_CASE("two variables can swap") {
  Bench bench;
  const int a = bench.declare("a", {5});
  const int b = bench.declare("b", {5});
  bench.graph.update(a, bench.graph.state(b));
  bench.graph.update(b, bench.graph.state(a));
  check_against_interpreter(bench);
}

TEST_CASE("a variable that another one takes over is not overwritten before") {
  Bench bench;
  const int a = bench.declare("a", {5});
  const int b = bench.declare("b", {5});
  const Value old = bench.graph.state(b);
  bench.graph.update(b, bench.axpy(old, old));
  bench.graph.update(a, old);
  check_against_interpreter(bench);
}

TEST_CASE("a kernel's layout costs one reorder for each value") {
  Bench bench;
  const int w = bench.declare("w", {4, 3});
  const int out = bench.declare("out", {4, 3});
  const Value old = bench.graph.state(w);
  const Value first = bench.swapped(old);
  const Value both = bench.axpy(first, bench.swapped(first));
  bench.graph.update(out, both);
  bench.graph.update(w, bench.axpy(old, both));
  const Plan plan = check_against_interpreter(bench);
  int reorders = 0, copies = 0;
  for (const PlannedStep& step : plan.steps) reorders += step.op->name() == "reorder";
  for (const Storage& storage : plan.storages) copies += storage.kind == Storage::Kind::working_copy;
  CHECK(copies == 0);    // the program changes w itself
  CHECK(reorders == 3);  // w before, first and its double back to row-major after
}

TEST_CASE("a result that can lie in either layout lies as its first reader wants it") {
  Bench bench;
  const int w = bench.declare("w", {4, 3});
  const int out = bench.declare("out", {4, 3});
  const Value free = bench.builder.apply1("toy_free", nullptr, {bench.graph.state(w)});
  int expected = 0;
  SUBCASE("in its kernel's layout, for all that want it") {
    bench.graph.update(out, bench.swapped(free));
    bench.graph.update(w, bench.swapped(free));
    expected = 2;  // of the results
  }
  SUBCASE("row-major") {
    bench.graph.update(out, bench.axpy(free, bench.swapped(free)));
    expected = 2;  // of what swapped gives, and of what it was given that axpy wants row-major
  }
  SUBCASE("row-major, and reordered for who comes later") {
    const Value sum = bench.axpy(free, free);
    bench.graph.update(out, bench.axpy(sum, bench.swapped(free)));
    expected = 2;  // for swapped, and of what it gives
  }
  SUBCASE("where it is the new version of state") {
    bench.graph.update(w, free);
    bench.graph.update(out, bench.swapped(free));
    expected = 2;  // of both into row-major state
  }
  const Plan plan = check_against_interpreter(bench);
  const auto reorders =
      std::ranges::count_if(plan.steps, [](const PlannedStep& step) { return step.op->name() == "reorder"; });
  CHECK(reorders == expected);
}

TEST_CASE("a layout that differs in name alone costs nothing") {
  Bench bench;
  const int w = bench.declare("w", {1, 3});
  const int out = bench.declare("out", {1, 3});
  const Value old = bench.graph.state(w);
  bench.graph.update(out, bench.axpy(old, bench.swapped(bench.swapped(old))));
  const Plan plan = check_against_interpreter(bench);
  for (const PlannedStep& step : plan.steps) CHECK(step.op->name() != "reorder");
  for (const Storage& storage : plan.storages) CHECK(storage.kind != Storage::Kind::working_copy);
}

TEST_CASE("working copies follow what other programs and checkpoints write") {
  Bench bench;
  const int w = bench.declare("w", {2, 2});
  const int out = bench.declare("out", {2, 2});
  bench.graph.update(out, bench.swapped(bench.graph.state(w)));
  Graph change(bench.spec);
  Builder builder(change, context, true);
  change.update(w, builder.apply1("toy_axpy", nullptr, {change.state(w), change.state(w)}));

  StateStore store(bench.device, bench.spec);
  ScalarRow scalars(bench.device);
  ProgramSet set(bench.device, store, scalars);
  Program& reader = set.add(plan_program(bench.graph, {.device = "toy"}));
  Program& writer = set.add(plan_program(change, {.device = "toy"}));
  const float values[] = {1, 2, 3, 4};
  store.write(w, values);
  reader.run();
  CHECK(read(store, out).data == std::vector<double>{2, 3, 4, 5});
  writer.run();
  reader.run();
  CHECK(read(store, out).data == std::vector<double>{4, 7, 10, 13});
  store.write(w, values);
  reader.run();
  CHECK(read(store, out).data == std::vector<double>{2, 3, 4, 5});
}

TEST_CASE("packed values are computed in their places, and what lies between stays zero") {
  Bench bench;
  const int a = bench.declare("model/a", {3});
  const int b = bench.declare("model/b", {2, 2});
  const int root = bench.spec.make_group("group", {a, b});
  const int gradients = bench.spec.make_group_like("gradients", root, "gradient", Init::zeros(), false);
  auto pack = std::make_shared<PackAttributes>();
  pack->total = bench.spec[root].type.elements();
  pack->offsets = {0, bench.spec[b].root_offset};
  const Value va = bench.axpy(bench.graph.state(a), bench.graph.state(a));
  const Value vb = bench.axpy(bench.graph.state(b), bench.graph.state(b));
  const Value packed = bench.builder.apply1("pack", pack, {va, vb});
  bench.graph.update(gradients, packed);
  bench.graph.update(root, bench.axpy(bench.graph.state(root), packed));
  const Plan plan = check_against_interpreter(bench);
  CHECK(plan.steps.size() == 3);
  CHECK(plan.arena_bytes == 0);
}

TEST_CASE("one value packed twice is copied") {
  Bench bench;
  const int a = bench.declare("a", {16});
  const int out = bench.declare("out", {32});
  auto pack = std::make_shared<PackAttributes>();
  pack->total = 32;
  pack->offsets = {0, 16};
  const Value v = bench.axpy(bench.graph.state(a), bench.graph.state(a));
  bench.graph.update(out, bench.builder.apply1("pack", pack, {v, v}));
  check_against_interpreter(bench);
}

TEST_CASE("random graphs run as they are interpreted") {
  std::uint64_t seed = 3;
  const auto next = [&](std::size_t below) {
    seed = seed * 6364136223846793005ull + 1442695040888963407ull;
    return static_cast<std::size_t>((seed >> 33) % below);
  };
  for (int round = 0; round < 200; ++round) {
    Bench bench;
    std::vector<int> states;
    Values values;
    for (int i = 0; i < 4; ++i) {
      states.push_back(bench.declare("s" + std::to_string(i), {3, 4}));
      values.push_back(bench.graph.state(states.back()));
    }
    for (int i = 0; i < 12; ++i) {
      const Value a = values[next(values.size())];
      const Value b = values[next(values.size())];
      const std::size_t kind = next(4);
      if (kind == 0) {
        for (const Value value : bench.both(a, b)) values.push_back(value);
      } else {
        values.push_back(kind == 1 ? bench.swapped(a) : bench.axpy(a, b));
      }
    }
    for (const int state : states) {
      if (next(4)) bench.graph.update(state, values[next(values.size())]);
    }
    bench.graph.output("last", values.back());
    CAPTURE(round);
    CAPTURE(bench.graph.text());
    check_against_interpreter(bench);
  }
}

TEST_CASE("programs of one set share an arena that grows to the largest") {
  Bench bench;
  const int a = bench.declare("a", {64});
  Graph small(bench.spec), large(bench.spec);
  for (Graph* graph : {&small, &large}) {
    Builder builder(*graph, context, true);
    const Value x = graph->input("x", {DType::f32, {graph == &small ? 4 : 1000}});
    const Value y = builder.apply1("toy_axpy", nullptr, {x, x});
    graph->output("y", builder.apply1("toy_axpy", nullptr, {y, x}));
  }
  StateStore store(bench.device, bench.spec);
  ScalarRow scalars(bench.device);
  ProgramSet set(bench.device, store, scalars);
  Program& first = set.add(plan_program(small, {.device = "toy"}));
  const std::size_t before = set.arena_bytes();
  set.add(plan_program(large, {.device = "toy"}));
  CHECK(set.arena_bytes() > before);
  const float x[] = {1, 2, 3, 4};
  bench.device.upload(first.input("x"), x, sizeof x);
  first.run();
  float y[4];
  first.read_output("y", y);
  CHECK(y[3] == 28.0f);
  CHECK(bench.spec[a].type.elements() == 64);
}

TEST_CASE("on a concurrent device small tensors have memory of their own, and large ones share") {
  for (const auto& [elements, own] : {std::pair{1000, true}, {2'000'000, false}}) {
    CAPTURE(elements);
    Bench bench;
    Value small = bench.graph.input("small", {DType::f32, {16}}),
          large = bench.graph.input("x", {DType::f32, {elements}});
    for (int i = 0; i < 8; ++i) {
      small = bench.swapped(small);
      large = bench.swapped(large);
    }
    bench.graph.output("small", small);
    bench.graph.output("large", large);
    const Plan plan = plan_program(bench.graph, {.device = "toy", .concurrent = true});
    const std::size_t all = 8 * (64 + 4 * static_cast<std::size_t>(elements));
    CHECK((plan.arena_bytes >= all) == own);
    // The small ones wait for those before them, of which they read, and for nothing else.
    for (const PlannedStep& step : plan.steps) {
      if (plan.tensors[step.outputs[0]].type.elements() == 16) CHECK(step.after.size() <= 1);
    }
  }
}

TEST_CASE("a plan tells its peak and an op without a kernel is refused by name") {
  Bench bench;
  const Value x = bench.graph.input("x", {DType::f32, {100}});
  bench.graph.output("y", bench.axpy(bench.axpy(x, x), x));
  const Plan plan = plan_program(bench.graph, {.device = "toy"});
  CHECK(plan.peak().bytes == plan.arena_bytes);
  CHECK(plan.peak().live.size() == 1);
  Bench other;
  const Value y = other.graph.input("x", {DType::f32, {100}});
  other.graph.output("y", other.axpy(y, y));
  CHECK_THROWS_WITH_AS(plan_program(other.graph, {.device = "abacus"}), doctest::Contains("toy_axpy"), Error);
}

TEST_CASE("runs are held and launched together, each with its own scalars") {
  for (const int most : {1, 3, 8}) {
    CAPTURE(most);
    Bench bench;
    ToyDevice device(most);
    const int w = bench.declare("w", {});
    bench.graph.update(w, bench.axpy(bench.graph.state(w), bench.graph.scalar("x")));
    StateStore store(device, bench.spec);
    ScalarRow scalars(device);
    ProgramSet set(device, store, scalars);
    Program& program = set.add(plan_program(bench.graph, {.device = "toy"}));
    const float zero = 0.0f;
    store.write(w, &zero);
    double expected = 0.0;
    for (int run = 0; run < 11; ++run) {
      scalars.set("x", static_cast<float>(run * run));
      program.run();
      expected = 2.0 * expected + run * run;
      CHECK(device.replayed.size() == static_cast<std::size_t>((run + 1) / most));
    }
    scalars.set("x", 1e9f);  // of a run that does not come
    CHECK(store.read_scalar<float>(w) == expected);
    const std::vector<std::size_t> replayed = most == 1   ? std::vector<std::size_t>(11, 1)
                                              : most == 3 ? std::vector<std::size_t>{3, 3, 3, 2}
                                                          : std::vector<std::size_t>{8, 3};
    CHECK(device.replayed == replayed);
  }
}

TEST_CASE("held runs come before whatever is asked for after them") {
  ToyDevice device(8);
  StateSpec spec;
  const int w = spec.declare({"w", {DType::f32, {2, 2}}, Init::zeros()});
  const int out = spec.declare({"out", {DType::f32, {2, 2}}, Init::zeros()});
  Graph change(spec), look(spec);
  Builder changing(change, context, true), looking(look, context, true);
  change.update(w, changing.apply1("toy_axpy", nullptr, {change.state(w), change.state(w)}));
  look.update(out, looking.apply1("toy_swapped", nullptr, {look.state(w)}));  // reads a working copy
  StateStore store(device, spec);
  ScalarRow scalars(device);
  ProgramSet set(device, store, scalars);
  Program& writer = set.add(plan_program(change, {.device = "toy"}));
  Program& reader = set.add(plan_program(look, {.device = "toy"}));
  const float ones[] = {1, 1, 1, 1};
  store.write(w, ones);
  writer.run();
  writer.run();
  reader.run();  // another program
  CHECK(read(store, out).data[0] == 10.0);
  writer.run();
  store.write(w, ones);  // the host
  writer.run();
  reader.run();
  reader.run();
  CHECK(read(store, out).data[0] == 4.0);
  writer.run();
  set.reserve(set.arena_bytes() + 4096);  // other addresses
  writer.run();
  CHECK(read(store, w).data[0] == 27.0);
  writer.run();
  device.synchronize();
  CHECK(device.replayed.back() == 1);
  {
    ScalarRow others(device);
    ProgramSet other(device, store, others);
    Graph again(spec);
    Builder builder(again, context, true);
    again.update(w, builder.apply1("toy_axpy", nullptr, {again.state(w), again.state(w)}));
    Program& elsewhere = other.add(plan_program(again, {.device = "toy"}));
    writer.run();
    elsewhere.run();
    CHECK(device.replayed.size() == 9);  // of the first set, not of the second
  }
  CHECK(read(store, w).data[0] == 243.0);  // what a set held goes with it
}

TEST_CASE("what takes long by itself is not held") {
  ToyDevice device(8);
  for (const auto& [elements, launches, runs] :
       {std::tuple{16, 1, 8}, {16, 100, 5}, {16, 600, 1}, {30'000'000, 1, 5}}) {
    CAPTURE(launches);
    StateSpec spec;
    const int w = spec.declare({"w", {DType::f32, {elements}}, Init::zeros()});
    Graph graph(spec);
    Builder builder(graph, context, true);
    Value value = graph.state(w);
    for (int i = 0; i < launches; ++i) value = builder.apply1("toy_axpy", nullptr, {value, value});
    graph.update(w, value);
    StateStore store(device, spec);
    ScalarRow scalars(device);
    ProgramSet set(device, store, scalars);
    CHECK(set.add(plan_program(graph, {.device = "toy"})).runs_together() == runs);
  }
}
