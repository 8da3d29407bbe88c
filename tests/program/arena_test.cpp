#include "program/arena.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>

using namespace trainctl;

namespace {

/// Whether two blocks that are live together share a byte.
bool overlaps(const std::vector<Lifetime>& lifetimes, const ArenaPlan& plan) {
  for (std::size_t i = 0; i < lifetimes.size(); ++i) {
    for (std::size_t j = i + 1; j < lifetimes.size(); ++j) {
      const bool together = lifetimes[i].first <= lifetimes[j].last && lifetimes[j].first <= lifetimes[i].last;
      const bool share = plan.offsets[i] < plan.offsets[j] + lifetimes[j].bytes &&
                         plan.offsets[j] < plan.offsets[i] + lifetimes[i].bytes;
      if (together && share) return true;
    }
  }
  return false;
}

}  // namespace

TEST_CASE("blocks that are never live together share memory") {
  const ArenaPlan plan = plan_arena({{1000, 0, 1}, {1000, 2, 3}, {1000, 4, 5}});
  CHECK(plan.bytes == 1000);
  CHECK(plan.offsets == std::vector<std::size_t>{0, 0, 0});
}

TEST_CASE("a block fits into the gap between two others") {
  // The large ones stand at the bottom and, aligned, above it; the small one is live with the second only.
  const std::vector<Lifetime> lifetimes{{640, 0, 1}, {512, 1, 3}, {600, 2, 3}};
  const ArenaPlan plan = plan_arena(lifetimes);
  CHECK_FALSE(overlaps(lifetimes, plan));
  CHECK(plan.bytes == 640 + 512);
}

TEST_CASE("random lifetimes never overlap and stay near the lower bound") {
  std::uint64_t seed = 7;
  const auto next = [&](std::uint64_t below) {
    seed = seed * 6364136223846793005ull + 1442695040888963407ull;
    return (seed >> 33) % below;
  };
  for (int round = 0; round < 50; ++round) {
    std::vector<Lifetime> lifetimes;
    for (int i = 0; i < 60; ++i) {
      const int first = static_cast<int>(next(100));
      lifetimes.push_back({1 + next(10000), first, first + static_cast<int>(next(20))});
    }
    const ArenaPlan plan = plan_arena(lifetimes);
    REQUIRE_FALSE(overlaps(lifetimes, plan));
    std::size_t bound = 0;
    for (int step = 0; step < 120; ++step) {
      std::size_t live = 0;
      for (const Lifetime& lifetime : lifetimes)
        live += lifetime.first <= step && step <= lifetime.last ? lifetime.bytes : 0;
      bound = std::max(bound, live);
    }
    CHECK(plan.bytes >= bound);
    CHECK(plan.bytes <= bound * 3 / 2 + 64 * lifetimes.size());
    CHECK(std::ranges::all_of(plan.offsets, [](std::size_t offset) { return offset % arena_alignment == 0; }));
  }
}
