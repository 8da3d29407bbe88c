// Averages of the weights: their times, PyTorch's numbers, and that they leave the model alone.
#include "train/average.h"
#include "schema/json_text.h"

#include <doctest/doctest.h>

#include <cmath>

#include "base/file.h"
#include "cuda.h"
#include "schema/resolve.h"
#include "schema/yaml.h"
#include "train/averaging.h"
#include "train/golden.h"

using namespace trainctl;
using test::golden;

namespace {

const Schedule ten_by_ten{.steps_per_epoch = 10, .samples_per_epoch = 1000, .batch_samples = 100, .total_steps = 100};

Component<Average> make(const std::string& yaml) {
  Component<Average> average;
  Diagnostics diagnostics;
  average.read(parse_yaml_text(yaml), "", diagnostics);
  diagnostics.throw_if_any();
  return average;
}

std::vector<double> rates(const std::string& yaml, std::int64_t from, std::int64_t to) {
  const auto average = make(yaml);
  std::vector<double> all;
  for (std::int64_t step = from; step <= to; ++step) all.push_back(average->rate(step, ten_by_ten));
  return all;
}

using Steps = std::vector<double>;

Overrides with_momentum(std::vector<std::string> set) {
  set.insert(set.begin(), "optimizer={type: sgd, lr: 0.02, momentum: 0.9, weight_decay: 1e-3}");
  return {.set = std::move(set), .unset = {}};
}

/// The golden case "cnn_adam", with momentum instead and with averages. Adam would follow the noise of gradients that
/// are zero but for rounding.
struct Training {
  ExperimentSpec spec;
  Blueprint blueprint;
  Session session;
  Averaging averaging;

  Training(Device& device, const std::vector<std::string>& averages)
      : spec(parse<ExperimentSpec>(load_spec(golden / "cnn_adam.yaml", with_momentum(averages)))),
        blueprint(spec, {{"train", spec.data.train.dataset->describe()}}),
        session(device, blueprint, {"train"}),
        averaging(session) {
    session.initialise();
    test::set_weights(session);
  }
  void train(std::int64_t from, std::int64_t to) {
    session.set_epoch("train", 0);
    for (std::int64_t step = from; step < to; ++step) {
      averaging.set_rates(step + 1);
      session.scalars().set("position", step * 32 % 256);
      session.scalars().set("step", step);
      session.program({Phase::whole, "train", 32}).run();
    }
  }
  std::vector<float> values(const std::string& prefix) {
    std::vector<float> all;
    for (int i = 0; i < blueprint.state().size(); ++i) {
      const StateVariable& variable = blueprint.state()[i];
      if (!variable.name.starts_with(prefix) || variable.type.dtype != DType::f32) continue;
      all.resize(all.size() + variable.type.elements());
      session.state().read(i, all.data() + all.size() - variable.type.elements());
    }
    return all;
  }
};

bool never() {
  return false;
}

void check_golden(Device& device) {
  const auto expected = parse_json(read_file(golden / "averages.json"));
  Training run(device, {"averages.ema={decay: 0.95, buffers: average}",
                        "averages.late={type: ema, decay: 0.3, start: 10 steps, every: 3 steps}",
                        "averages.swa={start: 16 steps, every: 8 steps}"});
  run.train(0, expected["steps"]);
  CHECK(run.averaging.refresh_all(expected["steps"], never));
  for (const char* name : {"ema", "late", "swa"}) {
    for (const auto& [path, tensor] : expected[name].items()) {
      const std::string averaged = average_path(name, "model/" + path);
      const bool is_statistic = path.find("running") != std::string::npos;
      if (is_statistic && name == std::string("late")) {
        CHECK(run.blueprint.state().find(averaged) < 0);  // the model's are used
      } else {
        test::check_tensor(run.session, averaged, tensor);
      }
    }
  }
}

}  // namespace

TEST_CASE("averages take up the weights at their times") {
  CHECK(rates("{type: swa, start: 3 epochs, every: 2 epochs}", 30, 30) == Steps{1.0});
  CHECK(rates("{type: swa, start: 3 epochs, every: 2 epochs}", 31, 49) == Steps(19, 0.0));
  CHECK(rates("{type: swa, start: 3 epochs, every: 2 epochs}", 50, 51) == Steps{0.5, 0.0});
  CHECK(rates("{type: swa, start: 3 epochs, every: 2 epochs}", 70, 70) == Steps{1.0 / 3.0});
  CHECK(rates("{type: swa, start: 3 epochs}", 1, 29) == Steps(29, 1.0));  // until then it is the model
  CHECK(rates("{type: swa, start: 0 steps}", 9, 20) == Steps{1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0.5});
  const double share = 1.0 - 0.9;
  CHECK(rates("{type: ema, decay: 0.9}", 1, 4) == Steps{1.0, share, share, share});
  CHECK(rates("{type: ema, decay: 0.9, start: 2 steps, every: 2 steps}", 1, 5) == Steps{1.0, 1.0, 0.0, share, 0.0});
  CHECK(rates("{type: ema, decay: 0.2, warmup: true}", 1, 4) == Steps{1.0, 1.0 - 2.0 / 11.0, 0.8, 0.8});
  CHECK(make("{type: swa, start: 3 epochs, every: 2 epochs}")->taken(29, ten_by_ten) == 0);
  CHECK(make("{type: swa, start: 3 epochs, every: 2 epochs}")->taken(69, ten_by_ten) == 2);
}

TEST_CASE("averages refuse what makes no sense") {
  for (const char* yaml : {"{type: ema, decay: 1}", "{type: ema, every: 0 steps}", "swa",
                           "{type: ema, refresh_batches: 3}", "{type: swa, start: 1 epoch, buffers: averaged}"}) {
    CAPTURE(yaml);
    CHECK_THROWS_AS(make(yaml), ConfigError);
  }
}

TEST_CASE("averages equal those of torch.optim.swa_utils (cpu)") {
  check_golden(*DeviceRegistry::instance().find("cpu")->open(2));
}

TEST_CASE("averages equal those of torch.optim.swa_utils (cuda)") {
  if (Device* device = test::cuda_device()) check_golden(*device);
}

TEST_CASE("an average leaves the model alone, and keeps its bits while it takes nothing up") {
  const auto device = DeviceRegistry::instance().find("cpu")->open(2);
  Training plain(*device, {}), run(*device, {"averages.swa={start: 8 steps, every: 8 steps}"});
  run.train(0, 7);
  CHECK(run.values("average/swa/0.weight") == run.values("model/0.weight"));
  run.train(7, 8);
  const std::vector<float> first = run.values("average/");
  CHECK(run.values("average/swa/0.weight") == run.values("model/0.weight"));
  run.train(8, 15);
  CHECK(run.values("average/swa/0.weight") != run.values("model/0.weight"));
  CHECK(run.values("average/") == first);

  plain.train(0, 15);
  CHECK(run.averaging.refresh("swa", 15, never));
  CHECK(run.values("average/") != first);
  CHECK(run.values("model/") == plain.values("model/"));
  CHECK(run.session.read_sums("train") == plain.session.read_sums("train"));

  const std::vector<float> refreshed = run.values("average/");
  int asked = 0;
  const auto third_time = [&] { return ++asked == 3; };
  CHECK(run.averaging.refresh("swa", 15, third_time));  // nothing has changed
  CHECK(asked == 0);
  Averaging resumed(run.session);
  CHECK_FALSE(resumed.refresh("swa", 15, third_time));
  CHECK(resumed.refresh("swa", 15, never));  // begun anew it gives the same
  CHECK(run.values("average/") == refreshed);
}
