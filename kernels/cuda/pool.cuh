// Windows over images, for max_pool2d, avg_pool2d and their gradients.
#pragma once

#include "kernels/cuda/divider.cuh"
#include "kernels/cuda/elements.cuh"
#include "kernels/cuda/packed.cuh"
#include "ops/pool2d.h"

namespace trainctl::cuda {

constexpr int pool_threads = 256;

/// The geometry, and how threads are numbered: an item is `lane` of a pixel of y or of x. Pixels of a plane lie row by
/// row; each is of `lanes` packs of neighbouring channels, or of one element where planes hold one channel.
struct Pool {
  int lanes;
  int height, width, out_height, out_width;
  int kernel_height, kernel_width, stride_height, stride_width, pad_height, pad_width;
  int bins_height, bins_width;  ///< windows of adaptive pooling, or 0
  bool count_include_pad;
  std::uint32_t items;
  Divider by_lane, by_column, by_row;
};

struct Pixel {
  int plane, row, column, lane;
};

__device__ inline Pixel pixel_of(const Pool& pool, std::uint32_t item) {
  std::uint32_t lane = item, column = pool.by_lane.split(lane), row = pool.by_column.split(column);
  const std::uint32_t plane = pool.by_row.split(row);
  return {static_cast<int>(plane), static_cast<int>(row), static_cast<int>(column), static_cast<int>(lane)};
}

/// Calls visit(item) for the thread's share of the items.
template <typename Visit>
__device__ void each_item(const Pool& pool, const Visit& visit) {
  for (std::uint32_t item = blockIdx.x * blockDim.x + threadIdx.x; item < pool.items; item += gridDim.x * blockDim.x)
    visit(item);
}

/// Packs before that of a pixel of x, or of y.
__device__ inline std::int64_t input_pack(const Pool& pool, const Pixel& p, int row, int column) {
  return ((static_cast<std::int64_t>(p.plane) * pool.height + row) * pool.width + column) * pool.lanes + p.lane;
}
__device__ inline std::int64_t output_pack(const Pool& pool, const Pixel& p, int row, int column) {
  return ((static_cast<std::int64_t>(p.plane) * pool.out_height + row) * pool.out_width + column) * pool.lanes + p.lane;
}

/// Where a window begins, which may be in the padding, and the part of it that is in the image.
struct Window {
  int top, left, first_row, end_row, first_column, end_column;
};

__device__ inline Window window_at(const Pool& pool, int row, int column) {
  Window w;
  if (pool.bins_height) {
    w.top = w.first_row = row * pool.height / pool.bins_height;
    w.left = w.first_column = column * pool.width / pool.bins_width;
    w.end_row = ((row + 1) * pool.height + pool.bins_height - 1) / pool.bins_height;
    w.end_column = ((column + 1) * pool.width + pool.bins_width - 1) / pool.bins_width;
    return w;
  }
  w.top = row * pool.stride_height - pool.pad_height;
  w.left = column * pool.stride_width - pool.pad_width;
  w.first_row = max(w.top, 0);
  w.first_column = max(w.left, 0);
  w.end_row = min(w.top + pool.kernel_height, pool.height);
  w.end_column = min(w.left + pool.kernel_width, pool.width);
  return w;
}

/// Windows [first, end) along one axis that hold position `at`.
struct Windows {
  int first, end;
};

__device__ inline Windows windows_over(int at, int pad, int kernel, int stride, int count) {
  const int past = at + pad - kernel;  // windows that begin here or before are over
  return {past < 0 ? 0 : past / stride + 1, min((at + pad) / stride + 1, count)};
}
/// Of adaptive pooling: i with i E / B < at + 1 and (i + 1) E / B > at.
__device__ inline Windows bins_over(int at, int extent, int bins) {
  return {at * bins / extent, min(((at + 1) * bins + extent - 1) / extent, bins)};
}
__device__ inline Windows windows_over_row(const Pool& pool, int row) {
  if (pool.bins_height) return bins_over(row, pool.height, pool.bins_height);
  return windows_over(row, pool.pad_height, pool.kernel_height, pool.stride_height, pool.out_height);
}
__device__ inline Windows windows_over_column(const Pool& pool, int column) {
  if (pool.bins_width) return bins_over(column, pool.width, pool.bins_width);
  return windows_over(column, pool.pad_width, pool.kernel_width, pool.stride_width, pool.out_width);
}

/// Whether kernels take these shapes: items have 31 bits.
inline bool pool_fits(const Shape& x, const Shape& y) {
  constexpr std::int64_t limit = std::int64_t{1} << 31;
  return x.elements() > 0 && y.elements() > 0 && x.elements() < limit && y.elements() < limit;
}

/// Whether x lies in planes of one channel each.
inline bool in_planes(const Shape& x, const Layout& layout) {
  return !channels_last(layout) || x[1] == 1;
}

/// For packs of V channels (1 in planes). Items are packs of y, or, `over_input`, of x.
inline Pool make_pool(const Pool2dAttributes& attributes, const Shape& x, const Shape& y, bool planes, int V,
                      bool over_input) {
  const auto narrow = [](std::int64_t extent) { return static_cast<int>(extent); };
  Pool pool{};
  pool.lanes = planes ? 1 : narrow(x[1] / V);
  pool.height = narrow(x[2]), pool.width = narrow(x[3]);
  pool.out_height = narrow(y[2]), pool.out_width = narrow(y[3]);
  pool.kernel_height = narrow(attributes.kernel[0]), pool.kernel_width = narrow(attributes.kernel[1]);
  pool.stride_height = narrow(attributes.stride[0]), pool.stride_width = narrow(attributes.stride[1]);
  pool.pad_height = narrow(attributes.padding[0]), pool.pad_width = narrow(attributes.padding[1]);
  pool.bins_height = narrow(attributes.bins[0]), pool.bins_width = narrow(attributes.bins[1]);
  pool.count_include_pad = attributes.count_include_pad && !attributes.is_adaptive();
  const Shape& numbered = over_input ? x : y;
  pool.items = static_cast<std::uint32_t>(numbered.elements() / V);
  pool.by_lane = Divider(pool.lanes);
  pool.by_column = Divider(numbered[3]);
  pool.by_row = Divider(numbered[2]);
  return pool;
}

/// Calls function with the number of channels to take at once: as many as go into 16 bytes of both T and Index, or one.
template <typename T, typename Index, typename Function>
void with_lanes(const Shape& x, bool planes, std::uintptr_t addresses, Function function) {
  constexpr int V = static_cast<int>(16 / std::max(sizeof(T), sizeof(Index)));
  if (!planes && x[1] % V == 0 && addresses % 16 == 0) return function(std::integral_constant<int, V>());
  function(std::integral_constant<int, 1>());
}

}  // namespace trainctl::cuda
