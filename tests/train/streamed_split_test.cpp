// Batches that are brought to the device one by one, at any position.
#include "train/streamed_split.h"

#include <doctest/doctest.h>

#include <chrono>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

#include "toy_gpu.h"

using namespace trainctl;

namespace {

/// Sample i is the numbers 10 i, 10 i + 1, 10 i + 2.
std::shared_ptr<Table> numbered(std::int64_t samples) {
  Column column{.field = {.name = "input", .shape = {3}}, .storage = HostBytes(static_cast<std::size_t>(samples) * 12)};
  for (std::int64_t i = 0; i < samples * 3; ++i)
    reinterpret_cast<float*>(column.data())[i] = static_cast<float>(i / 3 * 10 + i % 3);
  std::vector<Column> columns;
  columns.push_back(std::move(column));
  return std::make_shared<Table>(samples, std::move(columns));
}

/// A step that keeps the rows it reads.
struct Reader final : Launch {
  const float* from;
  std::vector<float> seen;
  Reader(const float* first, std::int64_t rows) : from(first), seen(static_cast<std::size_t>(3 * rows)) {}
  void run(const LaunchArguments&) override { std::memcpy(seen.data(), from, seen.size() * sizeof(float)); }
};

/// A split on a device, read by steps that run when the device likes.
struct Steps {
  Device& device;
  const Sampler& sampler;
  StateSpec spec;
  StateStore store;
  int state;
  StreamedSplit split;
  std::vector<std::unique_ptr<Reader>> readers;
  std::vector<std::unique_ptr<Replay>> replays;
  std::vector<DataPosition> visits;

  Steps(Device& on, const Sampler& order, int places, int threads)
      : device(on),
        sampler(order),
        store(device, spec),
        state(spec.declare(
            {"data/train/input", {DType::f32, {places * sampler.options().batch_size, 3}}, Init::zeros(), false})),
        split(numbered(10), sampler, {state}, store, threads) {}

  void run(DataPosition at, int launches = 1) {
    for (int i = 0; i < launches; ++i) {
      const std::int64_t row = split.bring(at);
      readers.push_back(std::make_unique<Reader>(static_cast<const float*>(store.address(state)) + 3 * row,
                                                 sampler.batch_samples(at.offset)));
      replays.push_back(device.record({{.launch = readers.back().get(), .arguments = {}, .after = {}}}));
      replays.back()->run();
      visits.push_back(at);
    }
  }
  void check() {
    device.synchronize();
    for (std::size_t i = 0; i < visits.size(); ++i) {
      CAPTURE(visits[i].epoch);
      CAPTURE(visits[i].offset);
      const std::vector<std::int32_t> order = sampler.order(visits[i].epoch);
      for (std::int64_t k = 0; k < sampler.batch_samples(visits[i].offset); ++k)
        CHECK(readers[i]->seen[static_cast<std::size_t>(3 * k + 1)] ==
              static_cast<float>(10 * order[static_cast<std::size_t>(visits[i].offset + k)] + 1));
    }
  }
};

std::vector<DataPosition> epochs(const Sampler& sampler, std::int64_t count) {
  std::vector<DataPosition> visits;
  for (DataPosition at; at.epoch < count; at = sampler.next(at)) visits.push_back(at);
  return visits;
}

}  // namespace

TEST_CASE("a streamed split gives the batch at any position: the next, the same, one before, another epoch's") {
  for (const std::int64_t batch : {4, 10}) {  // of 10 samples: ragged, and an epoch of a single batch
    for (const bool shuffle : {true, false}) {
      CAPTURE(batch);
      CAPTURE(shuffle);
      const Sampler sampler(10, {.batch_size = batch, .shuffle = shuffle, .seed = 5});
      std::vector<DataPosition> visits = epochs(sampler, 3);
      visits.push_back(visits.back());                                                // the same again
      visits.insert(visits.end(), visits.begin(), visits.begin() + 2);                // from the start
      visits.insert(visits.end(), {{7, 0}, {2, 0}, {3, 0}, {2, 0}, {0, 0}, {1, 0}});  // other epochs' first
      const auto cpu = DeviceRegistry::instance().find("cpu")->open(1);
      Steps steps(*cpu, sampler, 1, 3);
      for (const DataPosition& at : visits) steps.run(at);
      steps.check();
      for (const auto fast : {toy::Queues::Fast::launches, toy::Queues::Fast::copies}) {
        for (const int places : {2, 3}) {
          toy::Gpu gpu({.fast = fast});
          Steps beside(gpu, sampler, places, 3);
          for (const DataPosition& at : visits) beside.run(at, 2);
          beside.check();
          CHECK(gpu.copies() > 0);
        }
      }
    }
  }
}

TEST_CASE("a batch is on its way to the device before the step that reads the one before it") {
  const Sampler sampler(10, {.batch_size = 2});
  int copies = 0;
  for (int ms = 1; copies < 3 && ms < 2000; ms *= 2) {  // until the readers were quick enough
    toy::Gpu gpu({});
    Steps steps(gpu, sampler, 2, 1);
    steps.run({0, 0});
    gpu.synchronize();
    std::this_thread::sleep_for(std::chrono::milliseconds(ms));
    steps.split.bring({0, 2});
    copies = gpu.copies();
  }
  CHECK(copies == 3);
}

TEST_CASE("long rows of batches through few buffers keep their bits, whichever queue is faster") {
  for (const auto fast : {toy::Queues::Fast::launches, toy::Queues::Fast::copies}) {
    for (const int threads : {1, 4}) {
      const Sampler sampler(10, {.batch_size = 3, .shuffle = true, .seed = 1});
      toy::Gpu gpu({.fast = fast});
      Steps steps(gpu, sampler, 2, threads);
      for (const DataPosition& at : epochs(sampler, 40)) {
        steps.run(at);
        if (at.epoch % 7 == 3) gpu.synchronize();
      }
      steps.check();
    }
  }
}

TEST_CASE("an error of reading comes with the batch that has it, not with the one before") {
  struct Failing final : SampleSource {
    std::shared_ptr<Table> table = numbered(10);
    const DatasetInfo& info() const override { return table->info(); }
    std::string digest() const override { return table->digest(); }
    void read(std::size_t field, std::span<const std::int32_t> ids, std::byte* out) const override {
      if (ids.front() == 4) fail(ErrorKind::data, "sample 4 is damaged");
      table->read(field, ids, out);
    }
  };
  const Sampler sampler(10, {.batch_size = 2});
  toy::Gpu gpu({.fast = toy::Queues::Fast::copies});
  StateSpec spec;
  const int state = spec.declare({"data/train/input", {DType::f32, {4, 3}}, Init::zeros(), false});
  StateStore store(gpu, spec);
  StreamedSplit split(std::make_shared<Failing>(), sampler, {state}, store, 2);
  split.bring({0, 0});
  split.bring({0, 2});
  CHECK_THROWS_WITH_AS(split.bring({0, 4}), "sample 4 is damaged", Error);
  CHECK_THROWS_AS(split.bring({0, 4}), Error);
  CHECK(split.bring({0, 6}) >= 0);
}
