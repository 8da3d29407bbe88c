// Whole training runs on the emulated kernels: what the CPU gives, and the same bits in whatever order is allowed.
#include <doctest/doctest.h>

#include "base/temp_folder.h"
#include "emulation/device.h"
#include "together.h"
#include "train/run.h"

using namespace trainctl;
using namespace trainctl::test;

namespace {

struct Trained {
  std::vector<float> weights;
  std::vector<double> losses;  ///< of each epoch
};

Trained train(Device& device, const std::filesystem::path& folder, const char* config, const std::string& precision) {
  Observer observer;
  Run run(device, folder, config, {"trainer.max=19 steps", "data.train.shuffle=true", "trainer.precision=" + precision},
          observer);
  run.trainer->begin();
  REQUIRE(run.trainer->run().finished);
  Trained trained{run.weights(), {}};
  for (const HistoryRecord& record : run.trainer->history().records)
    trained.losses.push_back(*find_value(record.values, "train/loss"));
  return trained;
}

}  // namespace

TEST_CASE("training on the emulated GPU goes as on the CPU, with the same bits however many steps go into a launch") {
  const testing::TempFolder folder;
  const auto cpu = DeviceRegistry::instance().find("cpu")->open(1);
  for (const char* config : {"mlp_adam", "mlp_clip", "lenet_adam", "cnn_adam"}) {
    CAPTURE(config);
    const Trained expected = train(*cpu, folder.path() / config / "cpu", config, "fp32");
    for (const std::string precision : {"fp32", "bf16"}) {
      CAPTURE(precision);
      emulation::EmulatedDevice device;
      Together one(device, 1, false), worst(device, 8, true);
      const Trained a = train(one, folder.path() / config / precision, config, precision);
      const Trained b = train(worst, folder.path() / config / (precision + "-worst"), config, precision);
      CHECK(a.weights == b.weights);
      CHECK(a.losses == b.losses);
      CHECK(one.replays == 19);
      CHECK(worst.replays == 3);  // epochs of 8 steps
      REQUIRE(a.losses.size() == expected.losses.size());
      for (std::size_t epoch = 0; epoch < a.losses.size(); ++epoch)
        CHECK(a.losses[epoch] == doctest::Approx(expected.losses[epoch]).epsilon(precision == "fp32" ? 1e-4 : 2e-2));
    }
  }
}
