// The sampler components.
#include "data/sample_order.h"

#include <numeric>

#include "data/data_files.h"
#include "data/sampler.h"

using namespace trainctl;
using namespace trainctl::testing;

namespace {

using Ids = std::vector<std::int32_t>;

SampleIds numbers(int count) {
  Ids ids(static_cast<std::size_t>(count));
  std::iota(ids.begin(), ids.end(), 0);
  return std::make_shared<const Ids>(std::move(ids));
}

Column labels(const std::vector<std::int64_t>& values, std::int64_t classes) {
  Column column{.field = {.name = "target", .dtype = DType::i64, .classes = classes},
                .storage = HostBytes(values.size() * sizeof(std::int64_t))};
  std::memcpy(column.data(), values.data(), column.storage.size());
  return column;
}

Column floats(const std::vector<float>& values) {
  Column column{.field = {.name = "importance"}, .storage = HostBytes(values.size() * sizeof(float))};
  std::memcpy(column.data(), values.data(), column.storage.size());
  return column;
}

std::unique_ptr<EpochOrder> order(const std::string& yaml, const OrderContext& context) {
  return parse<Component<SampleOrder>>(parse_yaml_text(yaml))->prepare(context);
}

Ids epoch(const EpochOrder& order, std::int64_t number) {
  Ids ids(static_cast<std::size_t>(order.samples()));
  order.write(number, ids);
  return ids;
}

std::vector<int> counts(const EpochOrder& order, int epochs, std::size_t samples) {
  std::vector<int> count(samples, 0);
  for (int e = 0; e < epochs; ++e)
    for (const std::int32_t id : epoch(order, e)) ++count[static_cast<std::size_t>(id)];
  return count;
}

std::string error(const std::string& yaml, const OrderContext& context = {}) {
  return message_of(ErrorKind::config, [&] { order(yaml, context); });
}

}  // namespace

TEST_CASE("random without a length is the order that shuffle gives") {
  const auto random = order("random", {.ids = numbers(100), .seed = 7});
  const Sampler shuffled(100, {.shuffle = true, .seed = 7});
  for (const int e : {0, 1, 9}) CHECK(epoch(*random, e) == shuffled.order(e));
}

TEST_CASE("random without replacement: epochs are cut from pass after pass, each a permutation") {
  const OrderContext context{.ids = numbers(10), .seed = 3, .update_samples = 4};
  for (const char* yaml : {"{type: random, epoch_length: 3 samples}", "{type: random, epoch_length: 4 steps}"}) {
    const auto random = order(yaml, context);
    CHECK(random->samples() == (std::string_view(yaml).find("3 samples") != std::string_view::npos ? 3 : 16));
    Ids all;
    for (int e = 0; e < 10; ++e) {
      const Ids part = epoch(*random, e);
      all.insert(all.end(), part.begin(), part.end());
      CHECK(part == epoch(*random, e));
    }
    for (std::size_t pass = 0; pass + 10 <= all.size(); pass += 10) {
      Ids one(all.begin() + static_cast<std::ptrdiff_t>(pass), all.begin() + static_cast<std::ptrdiff_t>(pass + 10));
      std::ranges::sort(one);
      CHECK(one == *numbers(10));
    }
  }
}

TEST_CASE("random with replacement: uniform, and other samples in each epoch") {
  const auto drawn =
      order("{type: random, replacement: true, epoch_length: 1000 samples}", {.ids = numbers(10), .seed = 5});
  CHECK(epoch(*drawn, 0) != epoch(*drawn, 1));
  CHECK(epoch(*drawn, 4) == epoch(*drawn, 4));
  double chi_square = 0.0;
  for (const int n : counts(*drawn, 10, 10)) chi_square += (n - 1000.0) * (n - 1000.0) / 1000.0;
  CHECK(chi_square < 33.7);  // 9 degrees of freedom: exceeded by chance once in 10000
  CHECK(chi_square > 0.1);
}

TEST_CASE("sequential goes on where an epoch ends") {
  const auto five =
      order("{type: sequential, epoch_length: 5 samples}", {.ids = std::make_shared<const Ids>(Ids{2, 4, 6})});
  CHECK(epoch(*five, 0) == Ids{2, 4, 6, 2, 4});
  CHECK(epoch(*five, 1) == Ids{6, 2, 4, 6, 2});
  CHECK(five->varies());
  CHECK(!order("sequential", {.ids = numbers(3)})->varies());
}

TEST_CASE("weighted by class: rare classes as often as common ones, or as the weights say") {
  std::vector<std::int64_t> of(100, 0);
  for (std::size_t i = 90; i < 100; ++i) of[i] = 2;
  const Column target = labels(of, 3);  // 90 of class 0, none of 1, 10 of 2
  const OrderContext context{.ids = numbers(100), .values = &target, .seed = 1};
  const auto share_of_rare = [&](const char* yaml) {
    const std::vector<int> count = counts(*order(yaml, context), 100, 100);
    return std::accumulate(count.begin() + 90, count.end(), 0) / 10000.0;
  };
  CHECK(share_of_rare("weighted") == doctest::Approx(0.5).epsilon(0.04));
  CHECK(share_of_rare("{type: weighted, weights: [1, 0, 3]}") == doctest::Approx(0.25).epsilon(0.06));
  CHECK(share_of_rare("{type: weighted, weights: [0, 0, 1]}") == 1.0);
  CHECK(order("{type: weighted, epoch_length: 7 samples}", context)->samples() == 7);
  CHECK(order("weighted", context)->samples() == 100);
}

TEST_CASE("weighted by a column: each sample by its own weight") {
  const Column importance = floats({1, 2, 0, 5});
  const OrderContext context{.ids = numbers(4), .values = &importance, .seed = 2};
  const auto drawn = order("{type: weighted, by: importance, epoch_length: 8000 samples}", context);
  const std::vector<int> count = counts(*drawn, 1, 4);
  CHECK(count[0] == doctest::Approx(1000).epsilon(0.15));
  CHECK(count[1] == doctest::Approx(2000).epsilon(0.1));
  CHECK(count[2] == 0);
  CHECK(count[3] == doctest::Approx(5000).epsilon(0.05));

  // Without replacement sample 3 comes first in 5/8 of the epochs, and each sample of weight comes once.
  const auto once = order("{type: weighted, by: importance, replacement: false}", context);
  CHECK(once->samples() == 3);
  int heaviest_first = 0;
  for (int e = 0; e < 4000; ++e) {
    Ids ids = epoch(*once, e);
    heaviest_first += ids[0] == 3;
    std::ranges::sort(ids);
    CHECK(ids == Ids{0, 1, 3});
  }
  CHECK(heaviest_first == doctest::Approx(2500).epsilon(0.05));
}

TEST_CASE("samplers that do not fit the data are refused") {
  const Column target = labels({0, 1, 1}, 2);
  const Column importance = floats({0, 0, 0});
  const Column negative = floats({1, -1, 0});
  const OrderContext classes{.ids = numbers(3), .values = &target};
  CHECK(contains(error("{type: weighted, weights: [1, 2, 3]}", classes), "3 weights and 2 classes"));
  CHECK(contains(error("{type: weighted, weights: [0, 0]}", classes), "no sample has a weight above zero"));
  CHECK(contains(error("{type: weighted, weights: [1, 0], replacement: false, epoch_length: 2 samples}", classes),
                 "only 1 have a weight above zero"));
  CHECK(contains(error("{type: weighted, by: importance}", {.ids = numbers(3), .values = &importance}), "no sample"));
  CHECK(contains(error("{type: weighted, by: importance, weights: [1]}", {.ids = numbers(3), .values = &importance}),
                 "which are the weights themselves"));
  CHECK(contains(
      message_of(ErrorKind::data, [&] { order("{type: weighted, by: i}", {.ids = numbers(3), .values = &negative}); }),
      "sample 1 has the weight -1"));
  CHECK(contains(error("{type: random, epoch_length: 2 epochs}"), "in steps or samples"));
  CHECK(contains(error("{type: random, epoch_length: 0 steps}"), "at least 1"));
}
