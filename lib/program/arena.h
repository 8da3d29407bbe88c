// Packing of lifetimes into one block of memory.
#pragma once

#include <cstddef>
#include <vector>

namespace trainctl {

/// A block that is live from step `first` to step `last`, both included.
struct Lifetime {
  std::size_t bytes = 0;
  int first = 0;
  int last = 0;
};

struct ArenaPlan {
  std::vector<std::size_t> offsets;  ///< one for each lifetime, multiples of `arena_alignment`
  std::size_t bytes = 0;
};

constexpr std::size_t arena_alignment = 64;

/// Offsets at which no two blocks that are live at the same time overlap. Largest first, each at the lowest gap that
/// takes it (Pisarchyk & Lee, 2020).
ArenaPlan plan_arena(const std::vector<Lifetime>& lifetimes);

}  // namespace trainctl
