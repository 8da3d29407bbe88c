// How batch_norm's kernels go through the channels of a tensor (N, C, ...), and sums over a channel.
#pragma once

#include <algorithm>
#include <bit>

#include "kernels/cuda/divider.cuh"
#include "kernels/cuda/elements.cuh"

namespace trainctl::cuda {

/// The two ways in which channels lie. `V` elements that follow each other in memory are taken at once: a unit.
///   rows:    (pixels, C): a unit is of V channels, and neighbouring threads take neighbouring units of a pixel.
///   planes:  (N, C, pixels): a unit is V pixels of one channel.
template <typename T, int V, bool by_rows>
struct Walk {
  using Element = T;
  static constexpr int vector = V;
  static constexpr bool rows = by_rows;
  static constexpr int lanes = rows ? V : 1;                      ///< channels of a thread
  static constexpr int unit_elements = rows ? 1 : V;              ///< elements of each of its channels in a unit
  static constexpr int most_width = !rows ? 1 : V == 1 ? 32 : 8;  ///< threads side by side: 128 bytes, mostly
  static constexpr int most_tile = most_width * lanes;            ///< channels of a block
};

/// How the work is split: channels into tiles (the grid's x), the units of each channel into slabs (y). The numbers
/// depend on the tensor only, and so does the order of all sums.
struct ChannelView {
  int channels;
  int units;      ///< of a channel
  Divider plane;  ///< units of a plane
  int width;      ///< threads side by side over channels, a power of two up to 32
  int tiles, slabs, slab_units;
};
/// Of a block. No more, so that each can hold what it sums for eight channels and many loads in flight.
constexpr int channel_threads = 512;

/// Whether the channels of x, which has elements, can be viewed.
inline bool has_channel_view(const Shape& x) {
  return x.rank() >= 2 && x.elements() > 0 && x.elements() / x[1] < (1 << 30) && x[1] < (1 << 30);
}

/// For W::rows C must be a multiple of V, else the pixels.
template <typename W>
ChannelView channel_view(const Shape& x) {
  constexpr int multiprocessors = 132;  // made for, not asked for: sums are equal on every device
  const auto channels = static_cast<int>(x[1]);
  const auto pixels = static_cast<int>(x.slice(2).elements());
  const auto elements = static_cast<int>(x[0]) * pixels;
  ChannelView view{};
  view.channels = channels;
  if (W::rows) {
    const int groups = channels / W::vector;
    view.width = std::min<int>(std::bit_ceil(static_cast<unsigned>(groups)), W::most_width);
    view.tiles = (groups + view.width - 1) / view.width;
    view.units = elements;
    const int fewest = 4 * channel_threads / view.width;
    view.slabs = std::min(multiprocessors / view.tiles, view.units / fewest);
  } else {
    view.width = 1;
    view.tiles = channels;
    view.units = elements / W::vector;
    view.plane = Divider(pixels / W::vector);
    // A block alone goes through what its cache holds faster than a second launch begins.
    const bool small = elements * sizeof(typename W::Element) <= 128 * 1024;
    view.slabs = small ? 1 : std::min({16 * multiprocessors / channels, elements / 12288, 256});
  }
  view.slabs = std::max(view.slabs, 1);
  view.slab_units = (view.units + view.slabs - 1) / view.slabs;
  view.slabs = (view.units + view.slab_units - 1) / view.slab_units;
  return view;
}

/// A thread's share of a slab: its units first, first + step, ... below count, of `lanes` channels.
template <typename W>
struct Place {
  int local;    ///< the first of the channels in the tile
  int channel;  ///< and among all
  int slab, begin, count, first, step;

  __device__ Place(const ChannelView& view, int tile, int its_slab) : slab(its_slab) {
    local = static_cast<int>(threadIdx.x) % view.width * W::lanes;
    channel = tile * view.width * W::lanes + local;
    begin = slab * view.slab_units;
    count = channel < view.channels ? min(view.slab_units, view.units - begin) : 0;
    first = static_cast<int>(threadIdx.x) / view.width;
    step = channel_threads / view.width;
  }
  /// Whether i + u step, the u-th of the thread's units from i on, is there; and it, or else i: what is loaded without
  /// asking first, and never another thread's.
  __device__ bool has(int i, int u) const { return i + u * step < count; }
  __device__ int near(int i, int u) const { return has(i, u) ? i + u * step : i; }
  /// Calls function(u) for those of the units i + u step, u < at_once, that are there. Where all are, none is asked
  /// for: else loads would wait for each other behind the questions.
  template <int at_once, typename Function>
  __device__ void each(int i, const Function& function) const {
    if (has(i, at_once - 1)) {
#pragma unroll
      for (int u = 0; u < at_once; ++u) function(u);
    } else {
#pragma unroll
      for (int u = 0; u < at_once; ++u) {
        if (has(i, u)) function(u);
      }
    }
  }
  /// Where unit i of the slab begins.
  __device__ std::int64_t offset(const ChannelView& view, int i) const {
    std::uint32_t unit = begin + i;
    if constexpr (W::rows) return static_cast<std::int64_t>(unit) * view.channels + channel;
    const std::int64_t plane = static_cast<std::int64_t>(view.plane.split(unit)) * view.channels + channel;
    return (plane * view.plane.divisor() + unit) * W::vector;
  }
};

/// Elements of a channel in a slab.
template <typename W>
__device__ int slab_elements(const ChannelView& view, int slab) {
  return min(view.slab_units, view.units - slab * view.slab_units) * W::unit_elements;
}
template <typename W>
__device__ int channel_elements(const ChannelView& view) {
  return view.units * W::unit_elements;
}

/// Shared memory of a block; `tile` channels at most.
template <int tile>
struct ChannelShared {
  static constexpr int merging = tile * 32 < channel_threads ? tile * 32 : channel_threads;
  float warp[2][channel_threads / 32][tile];
  double part[2][merging];
  float pivot[tile];
  float coefficient[4][tile];
};

/// The sums of a and b over a block's threads, in thread t for channel t of the tile. All threads must call it.
template <int lanes, int tile>
__device__ double2 block_sums(float (&a)[lanes], float (&b)[lanes], int width, ChannelShared<tile>& shared) {
  for (int apart = 16; apart >= width; apart /= 2) {
#pragma unroll
    for (int l = 0; l < lanes; ++l) {
      a[l] += __shfl_xor_sync(~0u, a[l], apart);
      b[l] += __shfl_xor_sync(~0u, b[l], apart);
    }
  }
  const int t = threadIdx.x, warp = t / 32, lane = t % 32;
  if (lane < width) {
#pragma unroll
    for (int l = 0; l < lanes; ++l) {
      shared.warp[0][warp][lane * lanes + l] = a[l];
      shared.warp[1][warp][lane * lanes + l] = b[l];
    }
  }
  __syncthreads();
  double2 sums{};
  if (t < width * lanes) {
#pragma unroll 4
    for (int w = 0; w < channel_threads / 32; ++w) {
      sums.x += static_cast<double>(shared.warp[0][w][t]);
      sums.y += static_cast<double>(shared.warp[1][w][t]);
    }
  }
  return sums;
}

/// The sums over the slabs of what term(slab, sums) adds for channel t % channels of the tile, in thread t for channel
/// t of its `channels`. All threads must call it.
template <int tile, typename Term>
__device__ double2 slab_sums(int channels, int slabs, ChannelShared<tile>& shared, const Term& term) {
  const int t = threadIdx.x, part = t / channels, parts = min(channel_threads / channels, 32);
  if (part < parts) {
    double2 sums{};
#pragma unroll 8
    for (int slab = part; slab < slabs; slab += parts) term(slab, sums);
    shared.part[0][t] = sums.x;
    shared.part[1][t] = sums.y;
  }
  __syncthreads();
  double2 sums{};
  if (t < channels) {
#pragma unroll 4
    for (int p = 0; p < parts; ++p) {
      sums.x += shared.part[0][p * channels + t];
      sums.y += shared.part[1][p * channels + t];
    }
  }
  return sums;
}

}  // namespace trainctl::cuda
