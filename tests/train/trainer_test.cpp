// The training loop in a run directory of its own.
#include "train/trainer.h"

#include <doctest/doctest.h>
#include <signal.h>

#include <cmath>
#include <filesystem>

#include "base/signals.h"
#include "base/temp_folder.h"
#include "cuda.h"
#include "schema/resolve.h"
#include "source_dir.h"

using namespace trainctl;

namespace {

const std::filesystem::path golden = test::source_dir() / "tests" / "golden";

/// An experiment on the golden data, trained or resumed in `folder`.
struct Run {
  ExperimentSpec spec;
  std::unique_ptr<Blueprint> blueprint;
  std::unique_ptr<Session> session;
  std::unique_ptr<Trainer> trainer;

  Run(Device& device, const std::filesystem::path& folder, const char* name, std::vector<std::string> set,
      Observer& observer) {
    std::filesystem::create_directories(folder);
    spec =
        parse<ExperimentSpec>(load_spec(golden / (std::string(name) + ".yaml"), {.set = std::move(set), .unset = {}}));
    DataInfos data{{"train", spec.data.train.dataset->describe()}};
    std::vector<std::string> splits{"train"};
    if (spec.data.val) {
      data.emplace("val", spec.data.val->dataset->describe());
      splits.emplace_back("val");
    }
    blueprint = std::make_unique<Blueprint>(spec, data);
    session = std::make_unique<Session>(device, *blueprint, splits);
    trainer =
        std::make_unique<Trainer>(*session, RunPaths{folder},
                                  SnapshotFacts{.experiment_yaml = "x: 1\n", .data_digest = {}, .plans = {}}, observer);
  }

  std::vector<float> weights() {
    std::vector<float> all;
    for (int i = 0; i < blueprint->state().size(); ++i) {
      const StateVariable& variable = blueprint->state()[i];
      if (!variable.trainable && !variable.name.starts_with("average/")) continue;
      std::vector<float> values(blueprint->state()[i].type.elements());
      session->state().read(i, values.data());
      all.insert(all.end(), values.begin(), values.end());
    }
    return all;
  }
};

/// Asks for a stop after so many updates, as a signal would.
struct StopAfter final : Observer {
  std::int64_t updates;
  explicit StopAfter(std::int64_t n) : updates(n) {}
  void step(const Position& at) override {
    if (at.step == updates) ::raise(SIGUSR1);
  }
};

Device& cpu() {
  static const auto device = DeviceRegistry::instance().find("cpu")->open(2);
  return *device;
}

const std::vector<std::string> with_validation{
    "trainer.max=40 steps", "data.train.shuffle=true", "metrics.accuracy={}",
    "data.val={dataset: {type: npy, input: " + (golden / "data/images.npy").string() +
        ", target: " + (golden / "data/labels.npy").string() + ", classes: 10}, batch_size: 100}"};

/// Stops a run after different numbers of updates, and compares what resuming gives with a run that went through.
void check_exact_resume(Device& device, const std::string& precision) {
  const testing::TempFolder folder;
  Observer observer;
  std::vector<std::string> set = with_validation;
  set.push_back("trainer.precision=" + precision);
  // Policies whose state decides what comes: a plateau at every other report, a stop that is counted but never asked.
  set.push_back("trainer.validate_every=3 steps");
  set.push_back(
      "policies={warm: {type: constant, target: optimizer.lr, warmup: 5 steps}, plateau: {type: reduce_on_plateau, "
      "target: optimizer.lr, monitor: val/accuracy, mode: min, patience: 1, factor: 0.8, cooldown: 1}, stop: {type: "
      "early_stopping, monitor: val/loss, mode: min, patience: 30}, exploded: {type: stop_when, monitor: train/loss, "
      "ratio: 50}, gradients: {type: gradient_statistics, per: parameter}, steep: {type: stop_when, monitor: "
      "gradient_norm/0.weight, above: 1e6}}");
  set.push_back(
      "averages={ema: {warmup: true, buffers: average}, swa: {start: 6 steps, every: 3 steps, "
      "refresh_batches: 2}}");
  set.push_back("trainer.evaluate=swa");
  Run straight(device, folder.path() / "straight", "cnn_adam", set, observer);
  straight.trainer->begin();
  REQUIRE(straight.trainer->run().finished);
  auto expected = straight.trainer->history();
  for (auto& record : expected.records) record.seconds.clear();
  for (const std::int64_t at : {1, 7, 8, 9, 39}) {
    CAPTURE(at);
    signals::install();
    const auto where = folder.path() / std::to_string(at);
    StopAfter stop(at);
    {
      Run first(device, where, "cnn_adam", set, stop);
      first.trainer->begin();
      CHECK_FALSE(first.trainer->run().finished);
    }
    signals::reset();
    Run second(device, where, "cnn_adam", set, observer);
    second.trainer->resume(CheckpointStore(RunPaths{where}.checkpoints()).newest_valid()->reader);
    CHECK(second.trainer->host().position.step == at);
    REQUIRE(second.trainer->run().finished);
    CHECK(second.weights() == straight.weights());
    auto history = second.trainer->history();
    for (auto& record : history.records) record.seconds.clear();
    CHECK(history.to_json() == expected.to_json());
  }
}

}  // namespace

TEST_CASE("accumulated batches update as one large batch does, ragged windows included") {
  // 256 samples: 10 updates of 24 and one of 16, whole or in batches of 6, 6, 6, 6 and 6, 6, 4.
  const testing::TempFolder folder;
  Observer observer;
  Run whole(cpu(), folder.path() / "whole", "mlp_sgd", {"data.train.batch_size=24", "trainer.max=22 steps"}, observer);
  Run parts(cpu(), folder.path() / "parts", "mlp_sgd",
            {"data.train.batch_size=6", "trainer.accumulate=4", "trainer.max=22 steps"}, observer);
  for (Run* run : {&whole, &parts}) {
    run->trainer->begin();
    CHECK(run->trainer->run().finished);
  }
  CHECK(whole.trainer->host().position.epoch == 2);
  CHECK(parts.trainer->host().position.epoch == 2);
  CHECK(parts.trainer->host().position.batch == 86);
  const auto a = whole.weights(), b = parts.weights();
  for (std::size_t i = 0; i < a.size(); ++i) REQUIRE(a[i] == doctest::Approx(b[i]).epsilon(1e-4).scale(0.1));
}

TEST_CASE("a run stopped at any update and resumed has the bits and the history of one that was not (cpu)") {
  check_exact_resume(cpu(), "fp32");
}

TEST_CASE("a run stopped at any update and resumed has the bits and the history of one that was not (cuda)") {
  Device* device = test::cuda_device();
  if (!device) return;
  for (const char* precision : {"fp32", "tf32", "bf16"}) {
    SUBCASE(precision) {
      check_exact_resume(*device, precision);
    }
  }
}

TEST_CASE("a validation stopped in its middle goes on where it stopped") {
  struct StopInValidation final : Observer {
    std::int64_t passes = 0;
    std::vector<std::int64_t> seen;
    void validating(std::int64_t done, std::int64_t samples) override {
      seen.push_back(done);
      if (passes == 2 && done == 200) ::raise(SIGUSR1);
      passes += done == samples;
    }
  };
  const testing::TempFolder folder;
  StopInValidation watch;
  Observer observer;
  Run straight(cpu(), folder.path() / "straight", "mlp_adam", with_validation, observer);
  straight.trainer->begin();
  REQUIRE(straight.trainer->run().finished);

  signals::install();
  const auto where = folder.path() / "stopped";
  {
    Run first(cpu(), where, "mlp_adam", with_validation, watch);
    first.trainer->begin();
    CHECK_FALSE(first.trainer->run().finished);
  }
  signals::reset();
  CHECK(watch.seen == std::vector<std::int64_t>{100, 200, 256, 100, 200, 256, 100, 200});
  watch.seen.clear();
  Run second(cpu(), where, "mlp_adam", with_validation, watch);
  second.trainer->resume(CheckpointStore(RunPaths{where}.checkpoints()).newest_valid()->reader);
  REQUIRE(second.trainer->run().finished);
  CHECK(watch.seen.front() == 256);
  auto expected = straight.trainer->history(), history = second.trainer->history();
  for (auto* both : {&expected, &history}) {
    for (auto& record : both->records) record.seconds.clear();
  }
  CHECK(history.to_json() == expected.to_json());
}

TEST_CASE("a run that a policy has ended, stopped while its averages are made ready, ends all the same") {
  struct StopAtReport final : Observer {
    void reported(const HistoryRecord&, bool) override { ::raise(SIGUSR1); }
  };
  const testing::TempFolder folder;
  const std::vector<std::string> set{"averages.swa={start: 2 steps, every: 2 steps}",
                                     "policies.stop={type: stop_when, monitor: train/loss, below: 1e9}"};
  Observer observer;
  Run straight(cpu(), folder.path() / "straight", "cnn_adam", set, observer);
  straight.trainer->begin();
  REQUIRE(straight.trainer->run().finished);

  signals::install();
  const auto where = folder.path() / "stopped";
  {
    StopAtReport stop;
    Run first(cpu(), where, "cnn_adam", set, stop);
    first.trainer->begin();
    CHECK_FALSE(first.trainer->run().finished);
    CHECK(first.weights() != straight.weights());
  }
  signals::reset();
  Run second(cpu(), where, "cnn_adam", set, observer);
  second.trainer->resume(CheckpointStore(RunPaths{where}.checkpoints()).newest_valid()->reader);
  const Outcome outcome = second.trainer->run();
  REQUIRE(outcome.finished);
  CHECK(outcome.reason == straight.trainer->host().reason);
  CHECK(second.trainer->host().position.step == 8);
  CHECK(second.weights() == straight.weights());
}

TEST_CASE("a run begun on the CPU goes on on the GPU, and back (cuda)") {
  Device* device = test::cuda_device();
  if (!device) return;
  const testing::TempFolder folder;
  Observer observer;
  Run straight(cpu(), folder.path() / "straight", "cnn_adam", with_validation, observer);
  straight.trainer->begin();
  REQUIRE(straight.trainer->run().finished);
  const auto where = folder.path() / "moving";
  Device* devices[] = {&cpu(), device, &cpu()};
  for (const std::int64_t at : {10, 25, 40}) {
    signals::install();
    StopAfter stop(at);
    Run part(*devices[at / 15], where, "cnn_adam", with_validation, stop);
    if (at == 10)
      part.trainer->begin();
    else
      part.trainer->resume(CheckpointStore(RunPaths{where}.checkpoints()).newest_valid()->reader);
    part.trainer->run();
    signals::reset();
    CHECK(part.trainer->host().position.step == at);
    if (at < 40) continue;
    const auto a = part.weights(), b = straight.weights();
    for (std::size_t i = 0; i < a.size(); ++i) REQUIRE(a[i] == doctest::Approx(b[i]).epsilon(1e-3).scale(0.1));
  }
}

TEST_CASE("divergence ends a run with its own error, and nothing of it is saved") {
  const testing::TempFolder folder;
  Observer observer;
  Run run(cpu(), folder.path() / "run", "mlp_sgd", {"optimizer.lr=3e38", "trainer.log_every=1 steps"}, observer);
  run.trainer->begin();
  try {
    run.trainer->run();
    FAIL("it did not diverge");
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::diverged);
  }
  CHECK(run.trainer->history().status == "diverged");
  CHECK_FALSE(CheckpointStore(RunPaths{folder.path() / "run"}.checkpoints()).newest_valid().has_value());
}
