// How many runs of a program go into one launch changes nothing that a run leaves behind.
#include <doctest/doctest.h>

#include "base/signals.h"
#include "base/temp_folder.h"
#include "cuda.h"
#include "together.h"
#include "train/run.h"

using namespace trainctl;
using namespace trainctl::test;

namespace {

/// What a run leaves behind.
struct Left {
  std::vector<float> weights;
  std::string history;
  std::vector<StepRecord> steps;
};

Left left_by(Run& run, const std::filesystem::path& folder) {
  History history = run.trainer->history();
  for (HistoryRecord& record : history.records) record.seconds.clear();
  return {run.weights(), history.to_json(), StepsLog::read(RunPaths{folder}.steps())};
}

void check_equal(const Left& a, const Left& b) {
  CHECK(a.weights == b.weights);
  CHECK(a.history == b.history);
  REQUIRE(a.steps.size() == b.steps.size());
  for (std::size_t i = 0; i < a.steps.size(); ++i) {
    CHECK(a.steps[i].step == b.steps[i].step);
    CHECK(a.steps[i].values == b.steps[i].values);
  }
}

Left train(Device& device, const std::filesystem::path& folder, const char* name, const std::vector<std::string>& set) {
  Observer observer;
  Run run(device, folder, name, set, observer);
  run.trainer->begin();
  REQUIRE(run.trainer->run().finished);
  return left_by(run, folder);
}

/// Stopped after `at` updates, resumed with another number of runs in a launch.
Left train_in_two(Device& before, Device& after, std::int64_t at, const std::filesystem::path& folder, const char* name,
                  const std::vector<std::string>& set) {
  signals::install();
  {
    StopAfter stop(at);
    Run first(before, folder, name, set, stop);
    first.trainer->begin();
    CHECK_FALSE(first.trainer->run().finished);
  }
  signals::reset();
  Observer observer;
  Run second(after, folder, name, set, observer);
  second.trainer->resume(CheckpointStore(RunPaths{folder}.checkpoints()).newest_valid()->reader);
  CHECK(second.trainer->host().position.step == at);
  REQUIRE(second.trainer->run().finished);
  return left_by(second, folder);
}

Device& cpu() {
  static const auto device = DeviceRegistry::instance().find("cpu")->open(1);
  return *device;
}

struct Work {
  const char* config;
  std::vector<std::string> set;
};

std::vector<std::string> operator+(std::vector<std::string> a, const std::vector<std::string>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

const std::vector<std::string> schedule{
    "trainer.max=27 steps",
    "policies={lr: {type: cosine, target: optimizer.lr, warmup: 5 steps}}",
    "averages={ema: {warmup: true, buffers: average}, swa: {start: 6 steps, every: 3 steps, refresh_batches: 2}}",
    "trainer.evaluate=swa",
    "trainer.validate_every=13 steps",
    "trainer.log_every=5 steps"};
const Work works[] = {
    {"cnn_adam", with_validation + schedule},
    {"mlp_adam", with_validation + schedule + std::vector<std::string>{"data.train.batch_size=24"}},
    {"mlp_clip", with_validation + std::vector<std::string>{"trainer.accumulate=5", "data.train.batch_size=6",
                                                            "trainer.max=20 steps"}},
    {"mlp_unfreeze", {"data.train.shuffle=true", "trainer.on_nan=skip", "trainer.max=66 steps"}},
    {"mlp_sgd", {"data.memory_limit=0", "trainer.log_every=7 steps"}},
    {"resnet_momentum", {"trainer.max=11 steps"}},
};

}  // namespace

TEST_CASE("any number of runs in a launch leaves the same behind, in the worst order that is allowed") {
  const testing::TempFolder folder;
  for (const Work& work : works) {
    CAPTURE(work.config);
    const auto where = folder.path() / work.config;
    const Left expected = train(cpu(), where / "plain", work.config, work.set);
    int replays = 0;
    for (const int most : {1, 3, 8}) {
      CAPTURE(most);
      Together device(cpu(), most, true);
      check_equal(train(device, where / std::to_string(most), work.config, work.set), expected);
      if (most == 1) replays = device.replays;
      if (most == 8 && std::ranges::find(work.set, "data.memory_limit=0") == work.set.end())
        CHECK(device.replays < 0.7 * replays);
    }
  }
}

TEST_CASE("runs that were held when a stop came are run") {
  const testing::TempFolder folder;
  const Left expected = train(cpu(), folder.path() / "plain", "cnn_adam", works[0].set);
  Together three(cpu(), 3, false), eight(cpu(), 8, false);
  for (const std::int64_t at : {1, 8, 13, 22}) {
    CAPTURE(at);
    check_equal(train_in_two(eight, three, at, folder.path() / std::to_string(at), "cnn_adam", works[0].set), expected);
  }
}

TEST_CASE("any number of runs in a launch leaves the same behind (cuda)") {
  Device* device = cuda_device();
  if (!device) return;
  const testing::TempFolder folder;
  Together one(*device, 1, false), worst(*device, 3, true);
  for (const Work& work : works) {
    CAPTURE(work.config);
    const auto where = folder.path() / work.config;
    const Left expected = train(one, where / "one", work.config, work.set);
    check_equal(train(*device, where / "most", work.config, work.set), expected);
    check_equal(train(worst, where / "worst", work.config, work.set), expected);
  }
  check_equal(train_in_two(*device, one, 22, folder.path() / "stopped", "cnn_adam", works[0].set),
              train(one, folder.path() / "straight", "cnn_adam", works[0].set));
}
