#include "program/arena.h"

#include <algorithm>
#include <numeric>

namespace trainctl {

ArenaPlan plan_arena(const std::vector<Lifetime>& lifetimes) {
  std::vector<std::size_t> order(lifetimes.size());
  std::iota(order.begin(), order.end(), 0u);
  std::ranges::stable_sort(order,
                           [&](std::size_t a, std::size_t b) { return lifetimes[a].bytes > lifetimes[b].bytes; });

  ArenaPlan plan;
  plan.offsets.resize(lifetimes.size());
  std::vector<std::size_t> placed;  // indices, by offset
  for (const std::size_t index : order) {
    const Lifetime& block = lifetimes[index];
    std::size_t offset = 0;
    for (const std::size_t other_index : placed) {
      const Lifetime& other = lifetimes[other_index];
      if (other.last < block.first || block.last < other.first) continue;
      if (offset + block.bytes <= plan.offsets[other_index]) break;
      const std::size_t end = plan.offsets[other_index] + other.bytes;
      offset = std::max(offset, (end + arena_alignment - 1) / arena_alignment * arena_alignment);
    }
    plan.offsets[index] = offset;
    plan.bytes = std::max(plan.bytes, offset + block.bytes);
    const auto at = std::ranges::upper_bound(placed, offset, {}, [&](std::size_t i) { return plan.offsets[i]; });
    placed.insert(at, index);
  }
  return plan;
}

}  // namespace trainctl
