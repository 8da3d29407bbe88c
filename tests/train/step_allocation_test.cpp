// A whole training step allocates nothing: gather, forward, backward, update and sums, of every golden model.
#include <doctest/doctest.h>

#include <filesystem>

#include "counted_allocations.h"
#include "schema/resolve.h"
#include "source_dir.h"
#include "train/averaging.h"

using namespace trainctl;

namespace {

void check_steps(const char* name, const Overrides& overrides) {
  CAPTURE(name);
  const auto file = test::source_dir() / "tests" / "golden" / (std::string(name) + ".yaml");
  ExperimentSpec spec = parse<ExperimentSpec>(load_spec(file, overrides));
  const auto device = DeviceRegistry::instance().find("cpu")->open(2);
  Blueprint blueprint(spec, {{"train", spec.data.train.dataset->describe()}});
  Session session(*device, blueprint, {"train"});
  session.initialise();
  session.set_epoch("train", 0);
  Averaging averaging(session);
  const auto step = [&](std::int64_t index) {
    averaging.set_rates(index + 1);
    session.bring("train", 0, index * 32);
    session.scalars().set("position", index * 32);
    session.scalars().set("step", index);
    session.program({Phase::whole, "train", 32}).run();
  };
  step(0);  // compiles, and lets libraries set themselves up
  step(1);
  session.data_digest();  // its thread allocates, beside the steps
  allocations = 0;
  counting = true;
  step(2);
  step(3);
  counting = false;
  CHECK(allocations == 0);
}

}  // namespace

TEST_CASE("a training step allocates nothing") {
  const std::string averages = "averages={ema: {warmup: true, buffers: average}, swa: {start: 2 steps, every: 1 step}}";
  for (const char* name : {"mlp_adam", "lenet_adam", "cnn_adam", "resnet_momentum", "mlp_clip"})
    check_steps(name, {.set = {averages}, .unset = {}});
}

TEST_CASE("a step on data that are read batch by batch allocates nothing") {
  check_steps("mlp_adam", {.set = {"data.memory_limit=0"}, .unset = {}});
}
