#include "data/sampler.h"

#include <numeric>

#include "data/data_files.h"

using namespace trainctl;
using namespace trainctl::testing;

namespace {

using Ids = std::vector<std::int32_t>;

bool is_permutation_of_numbers(Ids ids) {
  std::ranges::sort(ids);
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (ids[i] != static_cast<std::int32_t>(i)) return false;
  }
  return true;
}

}  // namespace

TEST_CASE("an epoch's order is a permutation that depends on seed and epoch alone") {
  const Sampler a(60000, {.batch_size = 128, .shuffle = true, .seed = 42});
  const Sampler b(60000, {.batch_size = 7, .shuffle = true, .drop_last = true, .seed = 42});
  const Sampler c(60000, {.batch_size = 128, .shuffle = true, .seed = 43});
  CHECK(is_permutation_of_numbers(a.order(0)));
  CHECK(is_permutation_of_numbers(a.order(1)));
  CHECK(a.order(5) == b.order(5));
  CHECK(a.order(0) != a.order(1));
  CHECK(a.order(0) != c.order(0));
  for (const std::int64_t samples : {1, 2, 3, 4, 5, 17}) {
    CHECK(is_permutation_of_numbers(Sampler(samples, {.shuffle = true}).order(3)));
  }
}

// The expected numbers come from another implementation (Python integers), from the papers' formulas.
TEST_CASE("the order is fixed for all time: checkpoints rely on it") {
  const Sampler sampler(8, {.shuffle = true, .seed = 1});
  CHECK(sampler.order(0) == Ids{7, 4, 2, 6, 3, 5, 0, 1});
  CHECK(sampler.order(1) == Ids{5, 7, 3, 1, 6, 0, 2, 4});
  const Ids large = Sampler(60000, {.shuffle = true, .seed = 42}).order(3);
  CHECK(Ids(large.begin(), large.begin() + 4) == Ids{41392, 36151, 13595, 29673});
}

TEST_CASE("every permutation of four samples is equally likely") {
  constexpr int epochs = 24000;
  std::vector<int> count(256);
  Ids order(4);
  const Sampler sampler(4, {.shuffle = true, .seed = 9});
  for (int epoch = 0; epoch < epochs; ++epoch) {
    sampler.order(epoch, order);
    ++count[static_cast<std::size_t>(order[0] + 4 * order[1] + 16 * order[2] + 64 * order[3])];
  }
  // 24 permutations, 1000 expected each, standard deviation 31; chi-square with 23 degrees of freedom.
  double chi_square = 0.0;
  int seen = 0;
  for (const int n : count) {
    if (n == 0) continue;
    ++seen;
    chi_square += (n - 1000.0) * (n - 1000.0) / 1000.0;
  }
  CHECK(seen == 24);
  CHECK(chi_square < 55.0);  // exceeded by chance once in 5000
}

TEST_CASE("without shuffling the order is the given one") {
  CHECK(Sampler(5, {}).order(7) == Ids{0, 1, 2, 3, 4});
  CHECK(Sampler(Ids{9, 3, 4}, {}).order(7) == Ids{9, 3, 4});
}

TEST_CASE("a shuffled subset visits each of its samples once") {
  const Ids ids{3, 5, 7, 11, 13};
  Ids order = Sampler(ids, {.shuffle = true}).order(2);
  std::ranges::sort(order);
  CHECK(order == ids);
}

TEST_CASE("batches: the ragged last one is kept unless drop_last") {
  const Sampler kept(10, {.batch_size = 4});
  CHECK(kept.batches() == 3);
  CHECK(kept.epoch_samples() == 10);
  CHECK(kept.batch_samples(0) == 4);
  CHECK(kept.batch_samples(8) == 2);
  CHECK(kept.batch_samples(10) == 0);
  const Sampler dropped(10, {.batch_size = 4, .drop_last = true});
  CHECK(dropped.batches() == 2);
  CHECK(dropped.epoch_samples() == 8);
  CHECK(dropped.batch_samples(8) == 0);
  const Sampler exact(8, {.batch_size = 4});
  CHECK(exact.batches() == 2);
}

TEST_CASE("positions go through an epoch and over to the next") {
  const Sampler sampler(10, {.batch_size = 4});
  DataPosition at{2, 0};
  at = sampler.next(at);
  CHECK(at == DataPosition{2, 4});
  at = sampler.next(sampler.next(at));
  CHECK(at == DataPosition{3, 0});
  const Sampler dropped(10, {.batch_size = 4, .drop_last = true});
  CHECK(dropped.next({0, 4}) == DataPosition{1, 0});
}

TEST_CASE("impossible batch sizes are refused") {
  CHECK(contains(message_of(ErrorKind::config, [] { Sampler(5, {.batch_size = 6}); }), "only 5 samples; lower it"));
  CHECK(contains(message_of(ErrorKind::config, [] { Sampler(5, {.batch_size = 0}); }), "at least 1"));
  CHECK(contains(message_of(ErrorKind::config, [] { Sampler(0, {}); }), "no samples"));
}
