// Trains the models of tests/golden and compares them with PyTorch's trajectories.
#include <doctest/doctest.h>

#include <cmath>

#include "base/file.h"
#include "cuda.h"
#include "schema/json_text.h"
#include "schema/resolve.h"
#include "train/golden.h"

using namespace trainctl;
using test::golden, test::set_weights, test::check_tensor;

namespace {

/// Trains one golden case on the device and compares losses and parameters with PyTorch's.
void follow(const std::filesystem::path& config, Device& device) {
  const auto expected = parse_json(read_file(std::filesystem::path(config).replace_extension(".json")));
  ExperimentSpec spec = parse<ExperimentSpec>(load_spec(config));
  Blueprint blueprint(spec, {{"train", spec.data.train.dataset->describe()}});
  Session session(device, blueprint, {"train"});
  session.initialise();
  set_weights(session);
  session.set_epoch("train", 0);

  const std::int64_t batch = spec.data.train.batch_size;
  double sum = 0.0;
  for (std::int64_t step = 0; step < 200; ++step) {
    session.scalars().set("position", step * batch % 256);
    session.scalars().set("step", step);
    session.program({Phase::whole, "train", batch, 0, "", blueprint.stage_at(step)}).run();
    const double total = session.read_sums("train")[0];
    const double loss = (total - sum) / static_cast<double>(batch);
    sum = total;
    const double exact = expected["losses"][step];
    const double allowed =
        3.0 * expected["distance"][step].get<double>() + 3e-6;  // a dozen units in the last place of the loss itself
    INFO("step ", step);
    REQUIRE(std::abs(loss - exact) <= allowed);
  }

  for (const auto& [name, tensor] : expected["tensors"].items()) {
    check_tensor(session, "model/" + name, tensor);
  }
}

void follow_all(Device& device) {
  int cases = 0;
  for (const auto& entry : std::filesystem::directory_iterator(golden)) {
    if (entry.path().extension() != ".yaml") continue;
    ++cases;
    SUBCASE(entry.path().stem().c_str()) {
      follow(entry.path(), device);
    }
  }
  CHECK(cases == 18);
}

}  // namespace

TEST_CASE("training follows PyTorch's trajectories (cpu)") {
  follow_all(*DeviceRegistry::instance().find("cpu")->open(2));
}

TEST_CASE("training follows PyTorch's trajectories (cuda)") {
  if (Device* device = test::cuda_device()) follow_all(*device);
}
