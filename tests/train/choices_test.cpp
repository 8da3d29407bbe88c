// Implementations are tried where they may be, within the memory that is planned, and taken again by later runs.
#include "train/stored_choices.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "base/error.h"
#include "schema/resolve.h"
#include "source_dir.h"
#include "toy_gpu.h"
#include "train/session.h"

using namespace trainctl;

namespace {

/// Products by the CPU's own kernel: "test:slow", which computes everything a hundred times and is the first choice, or
/// "test:fast", which wants `fast_bytes` for it. Only while it is switched on.
class TwoWays final : public Kernel {
 public:
  static inline bool on = false;
  static inline std::size_t fast_bytes = 0;

  std::optional<KernelPlan> plan(const KernelRequest& request) const override {
    if (!on) return std::nullopt;
    auto plan = inner(request).plan(request);
    plan->implementation = request.chosen == "test:fast" ? "test:fast" : "test:slow";
    if (plan->implementation == "test:fast") plan->workspace_bytes += fast_bytes;
    if (request.tune && request.chosen.empty()) plan->alternatives = {"test:slow", "test:fast"};
    return plan;
  }
  std::unique_ptr<Launch> prepare(const KernelRequest& request, const KernelPlan& plan) const override {
    auto launch = std::make_unique<Repeated>();
    launch->inner = inner(request).prepare(request, plan);
    launch->times = plan.implementation == "test:slow" ? 100 : 1;
    return launch;
  }

 private:
  struct Repeated final : Launch {
    std::unique_ptr<Launch> inner;
    int times = 1;
    void run(const LaunchArguments& arguments) override {
      for (int i = 0; i < times; ++i) inner->run(arguments);
    }
  };
  const Kernel& inner(const KernelRequest& request) const {
    for (const KernelRegistry::Entry* entry : KernelRegistry::instance().find(request.op, "cpu")) {
      if (entry->kernel.get() != this && entry->kernel->plan(request)) return *entry->kernel;
    }
    fail(ErrorKind::internal, "the CPU has no kernel for it");
  }
};
const RegisterKernel<TwoWays> registered{"linear", "cpu", priority::specialised + 50, "two_ways"};

struct SwitchedOn {
  explicit SwitchedOn(std::size_t fast_bytes = 0) {
    TwoWays::on = true;
    TwoWays::fast_bytes = fast_bytes;
  }
  ~SwitchedOn() { TwoWays::on = false; }
};

struct Taken {
  Choices choices;     ///< of a session of the golden MLP for its products
  MemoryPlan memory;   ///< as planned
  MemoryPlan untried;  ///< as planned before anything was tried
};

Taken taken_on(Device& device, bool deterministic, const Choices& before = {}) {
  const auto config = test::source_dir() / "tests/golden/mlp_adam.yaml";
  ExperimentSpec spec = parse<ExperimentSpec>(load_spec(
      config, {.set = {std::string("trainer.deterministic=") + (deterministic ? "true" : "false")}, .unset = {}}));
  PreparedBlueprint prepared =
      prepare_blueprint(spec, {{"train", spec.data.train.dataset->describe()}}, device, {}, before);
  Taken taken;
  taken.untried = plan_memory(*prepared.blueprint, prepared.plans, device);
  try_alternatives(prepared, device);
  taken.memory = plan_memory(*prepared.blueprint, prepared.plans, device);
  Session session(device, *prepared.blueprint, {"train"}, std::move(prepared.plans), std::move(prepared.choices));
  session.reserve();
  for (const ProgramKey& key : prepared.blueprint->programs()) session.program(key);  // with their constants
  taken.choices = session.choices();
  std::erase_if(taken.choices, [](const auto& choice) { return !choice.first.starts_with("cpu linear "); });
  CHECK(!taken.choices.empty());
  return taken;
}

Choices taken(bool deterministic, const Choices& before) {
  return taken_on(*DeviceRegistry::instance().find("cpu")->open(1), deterministic, before).choices;
}

bool all_are(const Choices& choices, std::string_view implementation) {
  return std::ranges::all_of(choices, [&](const auto& choice) { return choice.second == implementation; });
}

}  // namespace

TEST_CASE("what is fastest is found by trying where bits may differ, and taken again") {
  const SwitchedOn on;
  CHECK(all_are(taken(true, {}), "test:slow"));
  const Choices fastest = taken(false, {});
  CHECK(all_are(fastest, "test:fast"));
  CHECK(taken(false, fastest) == fastest);
  Choices slow = fastest;
  for (auto& [request, implementation] : slow) implementation = "test:slow";
  CHECK(taken(false, slow) == slow);
}

TEST_CASE("what is fastest is planned, and trying it takes no more than is planned") {
  const SwitchedOn on(std::size_t{1} << 15);
  std::size_t slow_total = 0;
  {
    toy::Gpu gpu({.deferred = false});
    const Taken all = taken_on(gpu, false);
    CHECK(all_are(all.choices, "test:fast"));
    CHECK(all.memory.total() > all.untried.total());
    CHECK(gpu.peak_bytes() == all.memory.total());
    slow_total = all.untried.total();
    toy::Gpu exact({.memory_bytes = all.memory.total(), .deferred = false});
    CHECK(all_are(taken_on(exact, false).choices, "test:fast"));
    toy::Gpu less({.memory_bytes = all.memory.total() - 1, .deferred = false});
    const Taken others = taken_on(less, false);
    CHECK(all_are(others.choices, "test:slow"));
    CHECK(others.memory.total() == slow_total);
    CHECK(less.peak_bytes() == slow_total);
  }
  TwoWays::fast_bytes = slow_total;  // with its operands more than the plans take that trying begins with
  toy::Gpu gpu({.deferred = false});
  CHECK(all_are(taken_on(gpu, false).choices, "test:slow"));
  CHECK(gpu.peak_bytes() == slow_total);
}

TEST_CASE("choices are read as they were written, and damaged ones are told") {
  const Choices choices{{"cpu linear", "loops:v4"}, {"cuda conv2d \"x\"", "cudnn:eng1"}};
  CHECK(choices_from_json(choices_to_json(choices), "a.h5") == choices);
  CHECK(choices_from_json("", "a.h5").empty());
  for (const char* damaged : {"{", "[1]", "{\"a\": 1}"}) {
    try {
      choices_from_json(damaged, "a.h5");
      FAIL("taken: ", damaged);
    } catch (const Error& error) {
      CHECK(error.kind() == ErrorKind::data);
      CHECK(std::string(error.what()).starts_with("a.h5: "));
    }
  }
}
