// Rows of numbers, each gone through by a team of threads: some lanes of a warp, or a whole block.
#pragma once

#include "kernels/cuda/elements.cuh"
#include "kernels/cuda/packed.cuh"
#include "kernels/cuda/reduce.cuh"

namespace trainctl::cuda {

constexpr int team_block = 256;

/// `count` rows of `extent` elements, one behind the other, by teams of `team` threads: a power of two up to 32, or
/// team_block. A thread takes V elements at once.
struct TeamRows {
  std::int64_t count;
  int extent;
  int team;

  /// About two packs of V a thread, but a block alone for what would keep a warp busy for long.
  TeamRows(std::int64_t rows, std::int64_t row_extent, int V) : count(rows), extent(static_cast<int>(row_extent)) {
    const std::int64_t packs = (row_extent + V - 1) / V;
    team = packs > 1024 ? team_block : 1;
    while (packs <= 1024 && team < 32 && 2 * team < packs) team *= 2;
  }
  int per_block() const { return team_block / team; }
  int blocks() const { return grid(count, per_block()); }
};

__device__ inline float team_sum(float value, int team) {
  return team <= 32 ? warp_sum(value, team) : block_sum(value);
}
/// NaN is passed over.
__device__ inline float team_max(float value, int team) {
  return team <= 32 ? warp_max(value, team) : block_max(value);
}

/// Calls visit(row, elements, first): for each row of the thread's team where its elements are, of which the thread
/// takes those from `first` on, V at a time with team * V between. Every thread of a block visits equally often, with
/// no elements for want of a row, so that all can call team_sum() there.
template <int V, typename Visit>
__device__ void each_row(const TeamRows& rows, int block, int blocks, const Visit& visit) {
  const int per_block = team_block / rows.team, first = static_cast<int>(threadIdx.x) % rows.team * V;
  const std::int64_t step = static_cast<std::int64_t>(blocks) * per_block;
  for (std::int64_t begin = static_cast<std::int64_t>(block) * per_block; begin < rows.count; begin += step) {
    const std::int64_t row = begin + threadIdx.x / rows.team;
    visit(row, row < rows.count ? rows.extent : 0, first);
  }
}

/// The greatest number of elements of T that fill 16 bytes or less and go into `extent` evenly from `addresses` on
/// (or-ed together): all or one.
template <typename T, typename Function>
auto with_pack(std::int64_t extent, std::uintptr_t addresses, Function function) {
  constexpr int V = 16 / sizeof(T);
  if (extent % V == 0 && addresses % 16 == 0) return function(std::integral_constant<int, V>());
  return function(std::integral_constant<int, 1>());
}

}  // namespace trainctl::cuda
