// Batches that are brought to the device one by one, at any position.
#include "train/streamed_split.h"

#include <doctest/doctest.h>

#include <cstring>
#include <vector>

#include "device/device.h"

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

}  // namespace

TEST_CASE("a streamed split gives the batch at any position: the next, the same, one before, another epoch's") {
  for (const std::int64_t batch : {4, 10}) {  // of 10 samples: ragged, and an epoch of a single batch
    for (const bool shuffle : {true, false}) {
      CAPTURE(batch);
      CAPTURE(shuffle);
      const auto table = numbered(10);
      const Sampler sampler(10, {.batch_size = batch, .shuffle = shuffle, .seed = 5});
      const auto device = DeviceRegistry::instance().find("cpu")->open(1);
      StateSpec spec;
      const int state = spec.declare({"data/train/input", {DType::f32, {batch, 3}}, Init::zeros(), false});
      StateStore store(*device, spec);
      StreamedSplit split(table, sampler, {state}, 3);
      std::vector<DataPosition> visits;
      for (DataPosition at; at.epoch < 3; at = sampler.next(at)) visits.push_back(at);
      visits.push_back(visits.back());                                                // the same again
      visits.insert(visits.end(), visits.begin(), visits.begin() + 2);                // from the start
      visits.insert(visits.end(), {{7, 0}, {2, 0}, {3, 0}, {2, 0}, {0, 0}, {1, 0}});  // other epochs' first
      for (const DataPosition& at : visits) {
        CAPTURE(at.epoch);
        CAPTURE(at.offset);
        split.bring(at, store);
        std::vector<float> here(static_cast<std::size_t>(batch * 3));
        store.read(state, here.data());
        const std::vector<std::int32_t> order = sampler.order(at.epoch);
        for (std::int64_t i = 0; i < sampler.batch_samples(at.offset); ++i)
          CHECK(here[static_cast<std::size_t>(3 * i + 1)] ==
                static_cast<float>(10 * order[static_cast<std::size_t>(at.offset + i)] + 1));
      }
    }
  }
}
