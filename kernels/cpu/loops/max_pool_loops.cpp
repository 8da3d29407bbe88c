#include "kernels/cpu/loops/pool_window.h"

namespace trainctl::cpu::TRAINCTL_ISA {

/// The maxima of n windows and where they are. `x` points to the first window's origin (it may lie before the plane,
/// but only positions within `rows` and `columns` are read); `row` and `column` are the steps to the next row and
/// column of a window, `step` (or `stride`) to the next window.
template <int n, int step, bool two_by_two, typename Index>
TRAINCTL_INLINE void maximum_of(const float* x, long row, long column, long stride, const Span& rows,
                                const Span& columns, long kernel_width, float* y, Index* index) {
  using Floats = typename Vector<n>::Floats;
  using Ints = typename Vector<n>::Ints;
  const long row_begin = two_by_two ? 0 : rows.begin, row_end = two_by_two ? 2 : rows.end;
  const long column_begin = two_by_two ? 0 : columns.begin, column_end = two_by_two ? 2 : columns.end;
  Floats best = load_apart<n, step>(x + row_begin * row + column_begin * column, stride);
  Ints at = Ints{} + static_cast<std::int32_t>(row_begin * kernel_width + column_begin);
#pragma GCC unroll 2
  for (long r = row_begin; r < row_end; ++r) {
#pragma GCC unroll 2
    for (long s = column_begin; s < column_end; ++s) {
      const Floats value = load_apart<n, step>(x + r * row + s * column, stride);
      const Ints better = (value > best) | ((value != value) & (best == best));
      best = better ? value : best;
      at = better ? Ints{} + static_cast<std::int32_t>(r * kernel_width + s) : at;
    }
  }
  store(y, best);
  if constexpr (sizeof(Index) == 1) {
    store(index, __builtin_convertvector(at, typename Vector<n>::Bytes));
  } else {
    store(index, at);
  }
}

/// A window that is cut off begins at another position than 0, in lanes that are padding too, where it must read 0.
template <typename Index>
static void clear_padding(const PoolJob& job, long plane, Index* index) {
  if (job.valid == job.lanes || plane % job.cycle < job.cycle - job.tail) return;
  for (long i = 0; i < job.out_height * job.out_width; ++i) {
    for (long lane = job.valid; lane < job.lanes; ++lane) index[i * job.lanes + lane] = 0;
  }
}

/// Whether windows are 2x2 and none is cut off.
static bool plain_two_by_two(const PoolJob& job) {
  return !job.bins_height && job.kernel_height == 2 && job.kernel_width == 2 && job.pad_height == 0 &&
         job.pad_width == 0 && (job.out_height - 1) * job.stride_height + 2 <= job.height &&
         (job.out_width - 1) * job.stride_width + 2 <= job.width;
}

template <bool two_by_two, typename Index>
static void max_pool_with(const PoolJob& job, const Operands& operands) {
  const long row = job.width * job.lanes, out_row = job.out_width * job.lanes;
  parallel_parts(job.threads, job.planes, 1, planes_alone(job), [&](long begin, long end) {
    for (long plane = begin; plane < end; ++plane) {
      const float* x = operands.in<float>(0) + plane * plane_size(job);
      float* y = operands.out<float>(0) + plane * out_plane_size(job);
      Index* index = operands.out<Index>(1) + plane * out_plane_size(job);
      each_vector(job, [&]<int n, int step>(long i, const Span& columns, long out, long lane) {
        const Span rows = rows_at(job, i);
        const long at = i * out_row + out;
        maximum_of<n, step, two_by_two>(x + rows.origin * row + columns.origin * job.lanes + lane, row, job.lanes,
                                        job.stride_width, rows, columns, job.kernel_width, y + at, index + at);
      });
      clear_padding(job, plane, index);
    }
  });
}

void max_pool(const PoolJob& job, const Operands& operands) {
  if (job.wide_index) return max_pool_with<false, std::int32_t>(job, operands);
  plain_two_by_two(job) ? max_pool_with<true, std::uint8_t>(job, operands)
                        : max_pool_with<false, std::uint8_t>(job, operands);
}

/// Writes what n 2x2 windows give to one of their two rows: dy where the index is `position` or the one after it.
template <int n>
TRAINCTL_INLINE void unpool_pair(typename Vector<n>::Floats dy, typename Vector<n>::Ints index, std::int32_t position,
                                 float* to) {
  using Floats = typename Vector<n>::Floats;
  const Floats left = index == position ? dy : Floats{}, right = index == position + 1 ? dy : Floats{};
  if constexpr (n == 1) {
    to[0] = left[0], to[1] = right[0];
  } else if constexpr (n == 4) {
    store(to, __builtin_shufflevector(left, right, 0, 4, 1, 5));
    store(to + 4, __builtin_shufflevector(left, right, 2, 6, 3, 7));
  } else if constexpr (n == 8) {
    store(to, __builtin_shufflevector(left, right, 0, 8, 1, 9, 2, 10, 3, 11));
    store(to + 8, __builtin_shufflevector(left, right, 4, 12, 5, 13, 6, 14, 7, 15));
  } else {
    store(to, __builtin_shufflevector(left, right, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23));
    store(to + 16, __builtin_shufflevector(left, right, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31));
  }
}

/// 2x2 windows side by side in a row-major plane: dx is written once, row pair by row pair.
static void unpool_pairs(const PoolJob& job, const float* dy, const std::uint8_t* index, float* dx) {
  with_vector(vector_for(job.out_width), [&]<int n>() {
    using V = Vector<n>;
    for (long i = 0; i < job.out_height; ++i) {
      float* top = dx + 2 * i * job.width;
      for (long done = 0; done < job.out_width; done += n) {
        const long j = done + n <= job.out_width ? done : job.out_width - n;
        const auto share = load<typename V::Floats>(dy + i * job.out_width + j);
        const auto at =
            __builtin_convertvector(load<typename V::Bytes>(index + i * job.out_width + j), typename V::Ints);
        unpool_pair<n>(share, at, 0, top + 2 * j);
        unpool_pair<n>(share, at, 2, top + job.width + 2 * j);
      }
    }
  });
}

/// Lanes side by side: each position of a window takes dy where the index names it. `adds` where windows overlap, else
/// positions are written once.
template <bool adds, int n, typename Index>
TRAINCTL_INLINE void unpool_lanes(const float* dy, const Index* index, float* dx, long row, long column,
                                  const Span& rows, const Span& columns, long kernel_width) {
  using Floats = typename Vector<n>::Floats;
  using Ints = typename Vector<n>::Ints;
  const Floats share = load<Floats>(dy);
  Ints at;
  if constexpr (sizeof(Index) == 1) {
    at = __builtin_convertvector(load<typename Vector<n>::Bytes>(index), Ints);
  } else {
    at = load<Ints>(index);
  }
  for (long r = rows.begin; r < rows.end; ++r) {
    for (long s = columns.begin; s < columns.end; ++s) {
      float* to = dx + r * row + s * column;
      const Floats taken = at == Ints{} + static_cast<std::int32_t>(r * kernel_width + s) ? share : Floats{};
      if constexpr (adds) {
        store(to, load<Floats>(to) + taken);
      } else {
        store(to, taken);
      }
    }
  }
}

template <typename Index>
static void unpool_scattered(const PoolJob& job, const float* dy, const Index* index, float* dx) {
  for (long i = 0; i < job.out_height; ++i) {
    for (long j = 0; j < job.out_width; ++j, ++dy, ++index) {
      const long position = *index;
      const long row = rows_at(job, i).origin + position / job.kernel_width;
      const long column = columns_at(job, j).origin + position % job.kernel_width;
      dx[row * job.width + column] += *dy;
    }
  }
}

template <bool adds, typename Index>
static void unpool_plane(const PoolJob& job, const float* dy, const Index* index, float* dx) {
  const long row = job.width * job.lanes, out_row = job.out_width * job.lanes;
  each_vector(job, [&]<int n, int step>(long i, const Span& columns, long out, long lane) {
    const Span rows = rows_at(job, i);
    const long at = i * out_row + out;
    unpool_lanes<adds, n>(dy + at, index + at, dx + rows.origin * row + columns.origin * job.lanes + lane, row,
                          job.lanes, rows, columns, job.kernel_width);
  });
}

template <typename Index>
static void max_pool_backward_with(const PoolJob& job, const Operands& operands) {
  const bool plain = !job.bins_height;
  const bool apart = plain && job.stride_height >= job.kernel_height && job.stride_width >= job.kernel_width;
  const bool tiled = plain && job.stride_height == job.kernel_height && job.stride_width == job.kernel_width &&
                     job.pad_height == 0 && job.pad_width == 0 && job.out_height * job.stride_height >= job.height &&
                     job.out_width * job.stride_width >= job.width;
  const bool pairs =
      sizeof(Index) == 1 && job.lanes == 1 && plain_two_by_two(job) && job.stride_height == 2 && job.stride_width == 2;
  parallel_parts(job.threads, job.planes, 1, planes_alone(job), [&](long begin, long end) {
    for (long plane = begin; plane < end; ++plane) {
      const float* dy = operands.in<float>(0) + plane * out_plane_size(job);
      const Index* index = operands.in<Index>(1) + plane * out_plane_size(job);
      float* dx = operands.out<float>(0) + plane * plane_size(job);
      if (!tiled || (job.lanes == 1 && !pairs)) __builtin_memset(dx, 0, plane_size(job) * sizeof(float));
      if (pairs) {
        unpool_pairs(job, dy, reinterpret_cast<const std::uint8_t*>(index), dx);
      } else if (job.lanes == 1) {
        unpool_scattered(job, dy, index, dx);
      } else {
        apart ? unpool_plane<false>(job, dy, index, dx) : unpool_plane<true>(job, dy, index, dx);
      }
    }
  });
}

void max_pool_backward(const PoolJob& job, const Operands& operands) {
  job.wide_index ? max_pool_backward_with<std::int32_t>(job, operands)
                 : max_pool_backward_with<std::uint8_t>(job, operands);
}

}  // namespace trainctl::cpu::TRAINCTL_ISA
