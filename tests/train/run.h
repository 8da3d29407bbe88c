// A training run on the golden data, for tests.
#pragma once

#include <signal.h>

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "schema/resolve.h"
#include "source_dir.h"
#include "train/trainer.h"

namespace trainctl::test {

inline const std::filesystem::path golden = source_dir() / "tests" / "golden";

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
    trainer = std::make_unique<Trainer>(
        *session, RunPaths{folder}, SnapshotFacts{.experiment_yaml = "x: 1\n", .data_digest = {}, .choices_json = {}},
        observer);
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

inline const std::vector<std::string> with_validation{
    "trainer.max=40 steps", "data.train.shuffle=true", "metrics.accuracy={}",
    "data.val={dataset: {type: npy, input: " + (golden / "data/images.npy").string() +
        ", target: " + (golden / "data/labels.npy").string() + ", classes: 10}, batch_size: 100}"};

}  // namespace trainctl::test
