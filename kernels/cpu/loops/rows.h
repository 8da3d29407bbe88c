// Rows along an axis of a tensor, sixteen side by side. For *_loops.cpp only.
#pragma once

#include "kernels/cpu/loops/rows_job.h"
#include "kernels/cpu/loops/simd.h"

namespace trainctl::cpu::TRAINCTL_ISA {

/// Rows up to this extent go through tiles (16 KiB on the stack), longer ones one by one.
constexpr long tile_extent = 256;

using Tile = float[tile_extent][16];

TRAINCTL_INLINE long row_start(const Rows& rows, long row) {
  return row / rows.inner * rows.extent * rows.inner + row % rows.inner;
}

/// Where sixteen rows from `first` begin; rows past the end repeat the last one.
struct RowStarts {
  long at[16];
};
TRAINCTL_INLINE RowStarts row_starts(const Rows& rows, long first) {
  RowStarts starts;
  const long last = rows.outer * rows.inner - 1;
  for (int j = 0; j < 16; ++j) starts.at[j] = row_start(rows, first + j < last ? first + j : last);
  return starts;
}

TRAINCTL_INLINE void load_tile(const Rows& rows, const RowStarts& starts, const float* x, Tile& tile) {
  for (int j = 0; j < 16; ++j) {
    const float* row = x + starts.at[j];
    for (long c = 0; c < rows.extent; ++c) tile[c][j] = row[c * rows.inner];
  }
}

TRAINCTL_INLINE void store_tile(const Rows& rows, const RowStarts& starts, const Tile& tile, int count, float* y) {
  for (int j = 0; j < count; ++j) {
    float* row = y + starts.at[j];
    for (long c = 0; c < rows.extent; ++c) row[c * rows.inner] = tile[c][j];
  }
}

}  // namespace trainctl::cpu::TRAINCTL_ISA
