// Vectors over samples for the batch-blocked convolutions. For *_loops.cpp only; see kernels/cpu/dispatch.h.
#pragma once

#include "kernels/cpu/direct/convolution_loops.h"
#include "kernels/cpu/loops/simd.h"

#ifdef __clang__
#define TRAINCTL_UNROLL _Pragma("unroll")
#else
#define TRAINCTL_UNROLL _Pragma("GCC unroll 8")
#endif

namespace trainctl::cpu::TRAINCTL_ISA {

// One register of samples, and how many accumulators leave registers for operands.
#if defined(__AVX512F__)
constexpr long lanes = 16, accumulators = 24;
#elif defined(__AVX__)
constexpr long lanes = 8, accumulators = 12;
#else
constexpr long lanes = 4, accumulators = 12;
#endif
typedef float Vec __attribute__((vector_size(lanes * sizeof(float)), may_alias));

TRAINCTL_INLINE Vec load(const float* from) {
  return *reinterpret_cast<const Vec*>(from);
}
TRAINCTL_INLINE void store(float* to, Vec value) {
  *reinterpret_cast<Vec*>(to) = value;
}
TRAINCTL_INLINE Vec spread(float value) {
  return value - Vec{};
}  // not +, which would have to turn -0 into 0

/// How [0, count) is cut into pieces of nearly equal size, none above `most`.
struct Pieces {
  long count, pieces;
  __attribute__((always_inline)) long begin(long i) const { return count * i / pieces; }
  __attribute__((always_inline)) long size(long i) const { return begin(i + 1) - begin(i); }
};
TRAINCTL_INLINE Pieces pieces_of(long count, long most) {
  return {count, (count + most - 1) / most};
}

constexpr long most_tile = 8;  // of both sides of a tile

/// The tile that covers an area of rows x columns in the least time. The piece of columns [j, j + c) is updated
/// `updates(j, c)` times, which with r rows takes r c FMAs and r + c loads, two of each in a cycle, and at least the
/// four cycles until an FMA's result can be used again.
template <typename Updates>
TRAINCTL_INLINE Tile best_tile(long rows, long columns, const Updates& updates) {
  Tile best{1, 1};
  long least = -1;
  for (long r = 1; r <= most_tile && r <= rows; ++r) {
    for (long c = 1; c <= most_tile && c <= columns && r * c <= accumulators; ++c) {
      const Pieces down = pieces_of(rows, r), across = pieces_of(columns, c);
      long cost = 0;
      for (long i = 0; i < down.pieces; ++i) {
        for (long j = 0; j < across.pieces; ++j) {
          const long fmas = down.size(i) * across.size(j), loads = down.size(i) + across.size(j);
          long slots = fmas > loads ? fmas : loads;
          slots = slots > 8 ? slots : 8;
          cost += updates(across.begin(j), across.size(j)) * (2 * slots + 1);
        }
      }
      if (least < 0 || cost < least) {
        least = cost;
        best = {r, c};
      }
    }
  }
  return best;
}

}  // namespace trainctl::cpu::TRAINCTL_ISA
