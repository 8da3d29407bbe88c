// A session tries implementations where it may, and takes what a run took before.
#include "train/stored_choices.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "base/error.h"
#include "schema/resolve.h"
#include "source_dir.h"
#include "train/session.h"

using namespace trainctl;

namespace {

/// Products by the CPU's own kernel: "test:slow", which computes everything a hundred times and is the first choice, or
/// "test:fast". Only while it is switched on.
class TwoWays final : public Kernel {
 public:
  static inline bool on = false;

  std::optional<KernelPlan> plan(const KernelRequest& request) const override {
    if (!on) return std::nullopt;
    auto plan = inner(request).plan(request);
    plan->implementation = request.chosen == "test:fast" ? "test:fast" : "test:slow";
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
  SwitchedOn() { TwoWays::on = true; }
  ~SwitchedOn() { TwoWays::on = false; }
};

/// What a session of the golden MLP takes for its products.
Choices taken(bool deterministic, const Choices& before) {
  const auto config = test::source_dir() / "tests/golden/mlp_adam.yaml";
  ExperimentSpec spec = parse<ExperimentSpec>(load_spec(
      config, {.set = {std::string("trainer.deterministic=") + (deterministic ? "true" : "false")}, .unset = {}}));
  Blueprint blueprint(spec, {{"train", spec.data.train.dataset->describe()}});
  const auto device = DeviceRegistry::instance().find("cpu")->open(1);
  Session session(*device, blueprint, {"train"});
  session.take(before);
  session.reserve();
  Choices choices = session.choices();
  std::erase_if(choices, [](const auto& choice) { return !choice.first.starts_with("cpu linear "); });
  CHECK(!choices.empty());
  return choices;
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
