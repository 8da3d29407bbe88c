// Where data lie, and what a device's memory is taken for: told beforehand, on a toy GPU.
#include "train/memory_plan.h"

#include <doctest/doctest.h>

#include <fstream>
#include <optional>

#include "base/temp_folder.h"
#include "channels_last_weights.h"
#include "cuda.h"
#include "schema/resolve.h"
#include "source_dir.h"
#include "toy_gpu.h"
#include "train/trainer.h"

using namespace trainctl;

namespace {

const RegisterKernel<test::ChannelsLastWeights> channels_last[] = {
    {"conv2d", "cpu", priority::specialised + 50, "channels_last_weights"},
    {"conv2d_backward_data", "cpu", priority::specialised + 50, "channels_last_weights"},
    {"conv2d_backward_weights", "cpu", priority::specialised + 50, "channels_last_weights"}};

const std::filesystem::path golden = test::source_dir() / "tests" / "golden";

/// The 256 golden samples to train on, in batches of 24, and to validate with.
const std::vector<std::string> with_validation{
    "trainer.max=2 epochs", "data.train.batch_size=24", "data.train.shuffle=true",
    "data.val={dataset: {type: npy, input: " + (golden / "data/images.npy").string() +
        ", target: " + (golden / "data/labels.npy").string() + ", classes: 10}, batch_size: 100}"};

ExperimentSpec spec_of(const char* name, std::vector<std::string> more) {
  std::vector<std::string> set = with_validation;
  set.insert(set.end(), more.begin(), more.end());
  return parse<ExperimentSpec>(load_spec(golden / (std::string(name) + ".yaml"), {.set = set, .unset = {}}));
}

DataInfos data_of(const ExperimentSpec& spec) {
  return {{"train", spec.data.train.dataset->describe()}, {"val", spec.data.val->dataset->describe()}};
}

struct Trained {
  MemoryPlan memory;
  std::size_t reserved = 0;  ///< before the first step
  Placements placements;
  std::string graph_hash;
  std::vector<float> weights;
  int weight_reorders = 0;  ///< from row-major to channels-last and back, in all programs that train
};

int weight_reorders(const Plans& plans) {
  int count = 0;
  for (const auto& [key, plan] : plans) {
    for (const PlannedStep& step : plan.steps) {
      if (step.op->name() != "reorder" || key.phase == Phase::evaluate) continue;
      const Layout &from = plan.tensors[step.inputs[0]].layout, &to = plan.tensors[step.outputs[0]].layout;
      count += (from.row_major() && to.tag() == "acdb") || (from.tag() == "acdb" && to.row_major());
    }
  }
  return count;
}

/// Trains to the end, with all that `reserve` takes taken before.
Trained train(Device& device, ExperimentSpec spec) {
  const testing::TempFolder folder;
  PreparedBlueprint prepared = prepare_blueprint(spec, data_of(spec), device);
  Trained result;
  result.graph_hash = prepared.blueprint->graph_hash();
  result.weight_reorders = weight_reorders(prepared.plans);
  for (const std::string& split : prepared.blueprint->splits())
    result.placements[split] = prepared.blueprint->placement(split);
  try_alternatives(prepared, device);
  result.memory = plan_memory(*prepared.blueprint, prepared.plans, device);
  Session session(device, *prepared.blueprint, {"train", "val"}, std::move(prepared.plans),
                  std::move(prepared.choices));
  session.reserve();
  result.reserved = device.peak_bytes();
  Observer observer;
  Trainer trainer(session, RunPaths{folder.path()},
                  {.experiment_yaml = "x: 1\n", .data_digest = {}, .choices_json = {}}, observer);
  trainer.begin();
  CHECK(trainer.run().finished);
  const StateSpec& state = session.blueprint().state();
  for (int i = 0; i < state.size(); ++i) {
    if (!state[i].trainable) continue;
    std::vector<float> values(state[i].type.elements());
    session.state().read(i, values.data());
    result.weights.insert(result.weights.end(), values.begin(), values.end());
  }
  return result;
}

DatasetInfo samples_of(std::int64_t count, std::int64_t bytes) {
  return {.samples = count, .fields = {{.name = "input", .dtype = DType::u8, .shape = {bytes}}}};
}

DataSpec limited(std::optional<double> mib) {
  DataSpec spec;
  spec.memory_limit = mib;
  return spec;
}

}  // namespace

TEST_CASE("data lie in the host's memory or in files where the device has none of its own") {
  const DataInfos data{{"train", samples_of(4, 1 << 20)}, {"val", samples_of(1, 1 << 20)}};
  for (const std::optional<double> limit : {std::optional<double>(), std::optional<double>(4.0)}) {
    for (const auto& [name, placement] : place_data(limited(limit), data, std::nullopt)) {
      CHECK(placement.places == 0);
      CHECK(placement.loaded);
    }
  }
  const Placements some = place_data(limited(3.9), data, std::nullopt);
  CHECK(some.at("train").places == 1);
  CHECK_FALSE(some.at("train").loaded);
  CHECK(some.at("train").reason == "larger than data.memory_limit");
  CHECK(some.at("val").places == 0);
}

TEST_CASE("a device's own memory holds the smaller splits, the host's the others") {
  const DataInfos data{
      {"test", samples_of(2, 1 << 20)}, {"train", samples_of(4, 1 << 20)}, {"val", samples_of(1, 1 << 20)}};
  const auto places = [&](std::size_t mib) {
    std::vector<int> all;
    for (const auto& [name, placement] : place_data(limited({}), data, mib << 20)) {
      CHECK(placement.loaded);
      CHECK(placement.reason.empty() == (placement.places == 0));
      all.push_back(placement.places);
    }
    return all;  // test, train, val
  };
  CHECK(places(7) == std::vector{0, 0, 0});
  CHECK(places(6) == std::vector{0, 2, 0});
  CHECK(places(3) == std::vector{0, 2, 0});
  CHECK(places(2) == std::vector{2, 2, 0});
  CHECK(places(0) == std::vector{2, 2, 2});
  const Placements crowded = place_data(limited({}), data, std::size_t{6} << 20);
  CHECK(crowded.at("train").reason == "with the other splits more than the 6.0 MiB that the device has for data");
  const Placements bounded = place_data(limited(1.5), data, std::size_t{7} << 20);  // the user's bound holds here too
  CHECK(bounded.at("train").places == 2);
  CHECK_FALSE(bounded.at("train").loaded);
  CHECK(bounded.at("val").places == 0);
}

TEST_CASE("a device with more memory than the host holds what the host cannot") {
  const DataInfos data{{"train", samples_of(std::int64_t{1} << 30, 1 << 20)}};  // a pebibyte
  const Placement there = place_data(limited({}), data, std::size_t{1} << 51).at("train");
  CHECK(there.places == 0);
  CHECK_FALSE(there.loaded);
  const Placement nowhere = place_data(limited({}), data, std::size_t{1} << 49).at("train");
  CHECK(nowhere.places == 2);
  CHECK_FALSE(nowhere.loaded);
  CHECK(nowhere.reason.starts_with("larger than half of the host's memory and more than"));
}

TEST_CASE("the memory that a plan tells is what a run takes") {
  const std::vector<std::string> averages{"averages={ema: {warmup: true}, swa: {start: 3 steps, every: 3 steps}}",
                                          "trainer.evaluate=swa"};
  const std::vector<std::string> accumulation{"trainer.accumulate=3", "trainer.clip_grad_norm=1"};
  const std::vector<std::string> streamed{"data.memory_limit=0"};
  const std::vector<std::string> policies{
      "policies={rate: {type: cosine, target: optimizer.lr}, gradients: {type: gradient_statistics, per: parameter}}"};
  for (const auto& more : {std::vector<std::string>(), averages, accumulation, streamed, policies}) {
    for (const char* name : {"mlp_adam", "lenet_adam", "cnn_adam", "resnet_momentum"}) {
      CAPTURE(name);
      CAPTURE(more.size());
      toy::Gpu gpu({.threads = 2, .deferred = false});
      const Trained run = train(gpu, spec_of(name, more));
      CHECK(gpu.peak_bytes() == run.memory.total());
      CHECK(run.reserved == run.memory.total() - run.memory.constants);
    }
  }
}

TEST_CASE("what does not fit beside the programs is brought batch by batch, with the same bits and the same graph") {
  const std::vector<std::string> averages{"averages={swa: {start: 3 steps, every: 3 steps, refresh_batches: 2}}",
                                          "trainer.evaluate=swa"};
  for (const char* name : {"mlp_adam", "mlp_clip"}) {
    const Trained expected = train(*DeviceRegistry::instance().find("cpu")->open(1), spec_of(name, averages));
    const auto check = [&](std::size_t bytes, int streamed, std::vector<std::string> more = {}) {
      more.insert(more.end(), averages.begin(), averages.end());
      Trained run;
      for (const auto fast : {toy::Queues::Fast::launches, toy::Queues::Fast::copies}) {
        toy::Gpu gpu({.memory_bytes = bytes, .fast = fast});
        run = train(gpu, spec_of(name, more));
        CHECK(gpu.peak_bytes() == run.memory.total());
        CHECK(run.weights == expected.weights);
        CHECK(run.graph_hash == expected.graph_hash);
        const auto brought = [](const auto& split) { return split.second.streams(); };
        CHECK(std::ranges::count_if(run.placements, brought) == streamed);
      }
      return run.memory.total();
    };
    const std::size_t whole = check(std::size_t{1} << 30, 0);
    check(whole, 0);
    const std::size_t one = check(whole - 1, 1);
    const std::size_t none = check(one - 1, 2);
    check(none, 2);
    check(none, 2, {"data.memory_limit=0"});
    toy::Gpu gpu({.memory_bytes = none - 1});
    ExperimentSpec spec = spec_of(name, averages);
    CHECK_THROWS_WITH_AS(prepare_blueprint(spec, data_of(spec), gpu), doctest::Contains("the plan takes"), Error);
    CHECK(gpu.peak_bytes() == 0);
  }
}

TEST_CASE("weights lie as convolutions take them, with the same bits, in the memory that is planned") {
  const std::vector<std::string> averages{"averages={ema: {warmup: true}}", "trainer.evaluate=ema"};
  const std::vector<std::string> accumulation{"trainer.accumulate=3", "trainer.clip_grad_value=0.01"};
  for (const auto& more : {std::vector<std::string>(), averages, accumulation}) {
    for (const char* name : {"cnn_adam", "resnet_momentum"}) {
      CAPTURE(name);
      CAPTURE(more.size());
      const auto weights = [&](bool last, int* reorders) {
        std::optional<test::ChannelsLastWeights::SwitchedOn> on;
        if (last) on.emplace();
        toy::Gpu gpu({.threads = 2, .deferred = false});
        const Trained run = train(gpu, spec_of(name, more));
        CHECK(gpu.peak_bytes() == run.memory.total());
        *reorders = run.weight_reorders;
        return run.weights;
      };
      int before = 0, after = 0;
      CHECK(weights(true, &after) == weights(false, &before));
      CHECK(after == 0);
    }
  }
}

TEST_CASE("a GPU gives the same bits wherever data lie, and takes the memory that is planned (cuda)") {
  if (!test::cuda_device()) return;
  std::vector<Trained> runs;
  for (const auto& more : {std::vector<std::string>(), std::vector<std::string>{"data.memory_limit=0"}}) {
    const auto device = DeviceRegistry::instance().find("cuda")->open(1);
    runs.push_back(train(*device, spec_of("cnn_adam", more)));
    CHECK(device->peak_bytes() == runs.back().memory.total());
  }
  CHECK_FALSE(runs[0].placements.at("train").streams());
  CHECK(runs[1].placements.at("train").places == 2);
  CHECK(runs[0].weights == runs[1].weights);
  CHECK(runs[0].graph_hash == runs[1].graph_hash);
}

TEST_CASE("samples that only the device holds come there piece by piece") {
  const testing::TempFolder folder;
  const std::filesystem::path file = folder.path() / "x.npy";  // 20 MB: more than a piece
  constexpr std::size_t samples = 5000, sample_bytes = 4000;
  {
    std::string header = "{'descr': '|u1', 'fortran_order': False, 'shape': (5000, 4000), }";
    header.append(127 - 10 - header.size(), ' ').append("\n");
    std::ofstream out(file, std::ios::binary);
    out << std::string("\x93NUMPY\x01\x00\x76\x00", 10) << header;
    for (std::size_t i = 0; i < samples; ++i) out << std::string(sample_bytes, static_cast<char>(i % 251));
  }
  ExperimentSpec spec = spec_of(
      "mlp_adam",
      {"loss=mse", "data.train.dataset={type: npy, input: " + file.string() + ", target: " + file.string() + "}",
       "data.val=null", "model.layers=[{type: linear, out_features: 4000}]"});
  const DataInfos data{{"train", spec.data.train.dataset->describe()}};
  toy::Gpu gpu({});
  Placements placements = place_data(spec.data, data, std::size_t{1} << 40);
  placements["train"].loaded = false;
  Blueprint blueprint(spec, data, {}, placements);
  Session session(gpu, blueprint, {"train"});
  CHECK(session.samples_digest());
  CHECK(dynamic_cast<const Table*>(session.data("train").source.get()) == nullptr);
  const int state = blueprint.state().find("data/train/input");
  std::vector<std::uint8_t> there(samples * sample_bytes);
  session.state().read(state, there.data());
  for (std::size_t i = 0; i < samples; ++i) {
    REQUIRE(there[i * sample_bytes] == i % 251);
    REQUIRE(there[i * sample_bytes + sample_bytes - 1] == i % 251);
  }
}
