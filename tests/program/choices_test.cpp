// Choices of implementations: found by trying, recorded, taken again, and told where they are not to be had.
#include "program/choices.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "program/program.h"
#include "program/toy.h"
#include "program/tune.h"

using namespace toy;

namespace {

/// y = 2 a + b by any of several implementations, each of which takes its own time and is there or not.
struct Implementation {
  std::string name;
  double seconds;  ///< negative: it fails
  std::size_t workspace_bytes = 0;
};
std::vector<Implementation> implementations;

struct Doubling final : Op {
  std::string_view name() const override { return "toy_doubling"; }
  std::vector<TensorType> infer(const Attributes&, InputTypes inputs) const override { return {*inputs[0]}; }
  void reference(const Attributes&, std::span<const RefTensor* const> inputs,
                 std::span<RefTensor> outputs) const override {
    for (std::int64_t i = 0; i < outputs[0].size(); ++i) outputs[0][i] = 2.0 * (*inputs[0])[i] + (*inputs[1])[i];
  }
};

struct Timed final : Launch {
  double seconds;
  explicit Timed(double s) : seconds(s) {}
  void run(const LaunchArguments& arguments) override {
    static_cast<float*>(arguments.outputs[0])[0] = static_cast<const float*>(arguments.inputs[0])[0];
  }
};

struct DoublingKernel final : Kernel {
  std::optional<KernelPlan> plan(const KernelRequest& request) const override {
    const auto named = std::ranges::find(implementations, request.chosen, &Implementation::name);
    const bool known = named != implementations.end();
    const Implementation& taken = known ? *named : implementations.front();
    auto plan = KernelPlan::row_major(request, taken.name);
    plan.workspace_bytes = taken.workspace_bytes;
    if (request.tune && request.chosen.empty()) {
      for (const Implementation& each : implementations) plan.alternatives.push_back(each.name);
    }
    return plan;
  }
  std::unique_ptr<Launch> prepare(const KernelRequest&, const KernelPlan& plan) const override {
    return std::make_unique<Timed>(
        std::ranges::find(implementations, plan.implementation, &Implementation::name)->seconds);
  }
};

const RegisterOp<Doubling> doubling_op;
const RegisterKernel<DoublingKernel> doubling_kernel{"toy_doubling", "toy", priority::general, "toy"};

/// Tells the time that a launch says it takes, after running it on the memory it was given.
struct Stopwatch final : ToyDevice {
  int timed = 0;
  double time(const BoundLaunch& bound) override {
    ++timed;
    bound.launch->run(bound.arguments);
    const double seconds = static_cast<const Timed*>(bound.launch)->seconds;
    if (seconds < 0.0) fail(ErrorKind::internal, "a library's algorithm does not do what it said it would");
    return seconds;
  }
};

const BuildContext context;

/// A plan of two equal nodes and one of another shape.
Plan plan_three(const Choices* choices, bool tune) {
  StateSpec spec;
  const int a = spec.declare({"a", {DType::f32, {4}}, Init::zeros()});
  const int b = spec.declare({"b", {DType::f32, {8}}, Init::zeros()});
  Graph graph(spec);
  Builder builder(graph, context, true);
  const auto doubled = [&](Value x) { return builder.apply1("toy_doubling", nullptr, {x, x}); };
  graph.update(a, doubled(doubled(graph.state(a))));
  graph.update(b, doubled(graph.state(b)));
  return plan_program(graph, {.device = "toy", .deterministic = !tune, .tune = tune, .choices = choices});
}

std::vector<std::string> taken(const Plan& plan) {
  std::vector<std::string> names;
  for (const PlannedStep& step : plan.steps) {
    if (step.op->name() == "toy_doubling") names.push_back(step.plan.implementation);
  }
  return names;
}

/// Those of the op alone: a plan copies too.
Choices of_doubling(Choices choices) {
  std::erase_if(choices, [](const auto& choice) { return !choice.first.starts_with("toy toy_doubling"); });
  return choices;
}

using Names = std::vector<std::string>;

constexpr std::size_t plenty = std::size_t{1} << 30;

}  // namespace

TEST_CASE("the fastest implementation is found by trying each once for each request") {
  implementations = {{"slow", 3e-6}, {"fast", 1e-6}, {"middling", 2e-6}};
  Stopwatch device;
  Choices choices;
  const Plan first = plan_three(&choices, true);
  CHECK(taken(first) == Names{"slow", "slow", "slow"});
  CHECK(tune(device, first, choices, plenty));
  CHECK(device.timed == 6);  // two requests of three implementations
  CHECK(choices.size() == 2);
  const Plan second = plan_three(&choices, true);
  CHECK(taken(second) == Names{"fast", "fast", "fast"});
  CHECK(!tune(device, second, choices, plenty));
  CHECK(device.timed == 6);

  // Where the first is the fastest nothing is to be planned again.
  implementations = {{"fast", 1e-6}, {"slow", 3e-6}};
  Choices others;
  CHECK(!tune(device, plan_three(&others, true), others, plenty));
  CHECK(others.begin()->second == "fast");
}

TEST_CASE("what takes more memory than there is for trying is not tried") {
  implementations = {{"slow", 3e-6}, {"fast", 1e-6, 4096}, {"middling", 2e-6, 4096 - 64}};
  const auto taken_with = [&](std::size_t bytes, int timed) {
    Stopwatch device;
    Choices choices;
    tune(device, plan_three(&choices, true), choices, bytes);
    CHECK(device.timed == timed);
    return taken(plan_three(&choices, true));
  };
  // Three operands of 16 or 32 bytes.
  CHECK(taken_with(4096 + 3 * 32, 6) == Names{"fast", "fast", "fast"});
  CHECK(taken_with(4096 + 3 * 32 - 1, 5) == Names{"fast", "fast", "middling"});
  CHECK(taken_with(4096 + 3 * 16 - 1, 4) == Names{"middling", "middling", "middling"});
  CHECK(taken_with(1024, 2) == Names{"slow", "slow", "slow"});
}

TEST_CASE("what fails when it is tried is not taken") {
  implementations = {{"slow", 3e-6}, {"broken", -1.0}, {"fast", 1e-6}};
  Stopwatch device;
  Choices choices;
  CHECK(tune(device, plan_three(&choices, true), choices, plenty));
  CHECK(device.timed == 6);
  CHECK(taken(plan_three(&choices, true)) == Names{"fast", "fast", "fast"});
}

TEST_CASE("nothing is tried unless it is asked for") {
  implementations = {{"slow", 3e-6}, {"fast", 1e-6}};
  Stopwatch device;
  Choices choices;
  const Plan plan = plan_three(nullptr, false);
  CHECK(!tune(device, plan, choices, plenty));
  CHECK(device.timed == 0);
  CHECK(taken(plan) == Names{"slow", "slow", "slow"});
}

TEST_CASE("what was chosen before is taken again, and told where it is not to be had") {
  implementations = {{"first", 1e-6}, {"second", 1e-6}};
  Choices choices;
  record_choices(plan_three(nullptr, false), choices);
  choices = of_doubling(choices);
  REQUIRE(choices.size() == 2);
  for (auto& [request, implementation] : choices) {
    CHECK(implementation == "first");
    implementation = "second";
  }
  const Plan again = plan_three(&choices, false);
  CHECK(taken(again) == Names{"second", "second", "second"});
  CHECK(again.lost_choices.empty());

  implementations = {{"third", 1e-6}, {"first", 1e-6}};
  const Plan without = plan_three(&choices, false);
  CHECK(taken(without) == Names{"third", "third", "third"});
  REQUIRE(without.lost_choices.size() == 3);
  CHECK(without.lost_choices[0].chosen == "second");
  CHECK(without.lost_choices[0].taken == "third");
  CHECK(without.lost_choices[0].op == "toy_doubling");
  record_choices(without, choices);
  choices = of_doubling(choices);
  CHECK(choices.size() == 2);
  CHECK(choices.begin()->second == "third");

  // Choices of another device or other rules are no choices for this one.
  Choices foreign;
  for (const auto& [request, implementation] : choices) foreign["cuda" + request.substr(3)] = "second";
  CHECK(plan_three(&foreign, false).lost_choices.empty());
  CHECK(plan_three(&choices, true).lost_choices.empty());
}
