#include "program/order.h"

#include <algorithm>
#include <cstdint>

namespace trainctl {
namespace {

/// Bytes [begin, end) of one block of memory.
struct Region {
  int block;
  std::size_t begin, end;
  bool overlaps(const Region& other) const { return block == other.block && begin < other.end && other.begin < end; }
};

struct Access {
  std::vector<Region> reads, writes;
};

bool any_overlap(const std::vector<Region>& a, const std::vector<Region>& b) {
  return std::ranges::any_of(
      a, [&](const Region& x) { return std::ranges::any_of(b, [&](const Region& y) { return x.overlaps(y); }); });
}

/// Whether one of two steps writes what the other touches.
bool conflict(const Access& a, const Access& b) {
  return any_overlap(a.writes, b.reads) || any_overlap(a.writes, b.writes) || any_overlap(a.reads, b.writes);
}

constexpr int arena_block = -1;

Region region_of(const Plan& plan, int storage, std::size_t offset, std::size_t bytes) {
  const Storage& memory = plan.storages[storage];
  if (memory.kind == Storage::Kind::transient) {
    const std::size_t begin = memory.offset + offset;
    return {arena_block, begin, begin + bytes};
  }
  return {storage, offset, offset + bytes};
}

Access access_of(const Plan& plan, const PlannedStep& step) {
  Access access;
  const auto add = [&](std::vector<Region>& to, int tensor) {
    if (tensor < 0) return;
    const PlacedTensor& placed = plan.tensors[tensor];
    to.push_back(region_of(plan, placed.storage, placed.offset, placed.layout.bytes(placed.type)));
  };
  for (const int tensor : step.inputs) add(access.reads, tensor);
  for (const int tensor : step.outputs) add(access.writes, tensor);
  if (step.workspace >= 0)
    access.writes.push_back(region_of(plan, step.workspace, 0, plan.storages[step.workspace].bytes));
  if (step.residual >= 0) {
    std::vector<Region>& to = step.plan.residual_bytes ? access.writes : access.reads;
    to.push_back(region_of(plan, step.residual, 0, plan.storages[step.residual].bytes));
  }
  return access;
}

}  // namespace

std::vector<std::vector<int>> order_of(const Plan& plan, int runs) {
  const std::size_t steps = plan.steps.size(), count = steps * runs;
  std::vector<Access> accesses;
  for (const PlannedStep& step : plan.steps) accesses.push_back(access_of(plan, step));
  std::vector<std::vector<int>> after(count);
  // ancestors[i]: all steps that step i comes after, directly or not.
  std::vector<std::vector<bool>> ancestors(count, std::vector<bool>(count));
  for (std::size_t i = 0; i < count; ++i) {
    for (std::size_t j = i; j-- > 0;) {
      if (ancestors[i][j] || !conflict(accesses[j % steps], accesses[i % steps])) continue;
      after[i].push_back(static_cast<int>(j));
      ancestors[i][j] = true;
      for (std::size_t k = 0; k < j; ++k) {
        if (ancestors[j][k]) ancestors[i][k] = true;
      }
    }
    std::ranges::reverse(after[i]);
  }
  return after;
}

void find_order(Plan& plan) {
  std::vector<std::vector<int>> after = order_of(plan, 1);
  for (std::size_t i = 0; i < plan.steps.size(); ++i) plan.steps[i].after = std::move(after[i]);
}

}  // namespace trainctl
