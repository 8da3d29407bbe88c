// Reductions in a fixed order: over lanes of a warp, over a block, and over the blocks of a grid by way of partial
// sums.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "kernels/cuda/runtime.h"

namespace trainctl::cuda {

/// The value that the lane whose number differs in the bits of `mask` holds. Overload it (found by argument-dependent
/// lookup) to have sums of a struct.
template <typename T>
__device__ T exchange(T value, int mask) {
  return __shfl_xor_sync(0xFFFFFFFFu, value, mask);
}

/// Sum over each group of `width` neighbouring lanes (a power of two up to 32), the same bits in all of them. All lanes
/// of the warp must call it.
template <typename T>
__device__ T warp_sum(T value, int width = 32) {
  for (int mask = width / 2; mask > 0; mask /= 2) value = value + exchange(value, mask);
  return value;
}

/// The greatest value of each group of `width` neighbouring lanes; of floats, NaN is passed over as in fmaxf.
template <typename T>
__device__ T warp_max(T value, int width = 32) {
  for (int mask = width / 2; mask > 0; mask /= 2) value = max(value, exchange(value, mask));
  return value;
}

/// Sum over the block, the same bits in all of its threads. All threads must call it; the block is a multiple of 32. T
/// is a number, or a struct with operator+, exchange() and T{} as zero.
template <typename T>
__device__ T block_sum(T value) {
  __shared__ T of_warp[32];
  const int lane = threadIdx.x % 32, warps = blockDim.x / 32;
  value = warp_sum(value);
  __syncthreads();  // the sums of an earlier call may still be read
  if (lane == 0) of_warp[threadIdx.x / 32] = value;
  __syncthreads();
  return warp_sum(lane < warps ? of_warp[lane] : T{});
}

/// The greatest value over the block, under the same conditions; NaN is passed over.
__device__ inline float block_max(float value) {
  __shared__ float of_warp[32];
  const int lane = threadIdx.x % 32, warps = blockDim.x / 32;
  value = warp_max(value);
  __syncthreads();  // as in block_sum
  if (lane == 0) of_warp[threadIdx.x / 32] = value;
  __syncthreads();
  return warp_max(of_warp[lane < warps ? lane : 0]);
}

/// Sum of an array by one block, in all of its threads.
template <typename T>
__device__ T block_total(const T* values, int count) {
  T total{};
  for (int i = threadIdx.x; i < count; i += blockDim.x) total = total + values[i];
  return block_sum(total);
}

/// Ends a kernel whose blocks each have a sum: to `partial` for finish_kernel, or, where there is no such memory
/// because the block is the only one, as the result.
template <typename T, typename Out, typename Finish>
__device__ void deliver(T sum_of_block, T* partial, Out* out, const Finish& finish) {
  if (threadIdx.x != 0) return;
  if (partial) {
    partial[blockIdx.x] = sum_of_block;
  } else {
    *out = finish(sum_of_block);
  }
}

/// out = finish(sum of partial sums), by one block.
template <typename T, typename Out, typename Finish>
__global__ void finish_kernel(const T* partial, int count, Out* out, Finish finish) {
  const T total = block_total(partial, count);
  if (threadIdx.x == 0) *out = finish(total);
}

/// What finish_kernel and deliver() do to a sum that is itself the result.
struct AsIs {
  template <typename T>
  __device__ T operator()(T total) const {
    return total;
  }
};

/// Blocks and threads of a sum. They depend on nothing but the problem's size, so that the order of the sum does too.
struct SumGrid {
  static constexpr int finish_threads = 256;
  int blocks = 1;
  int threads = 1024;

  /// Bytes of workspace for one T of each block; none where one block does it all.
  template <typename T>
  std::size_t workspace() const {
    return blocks > 1 ? static_cast<std::size_t>(blocks) * sizeof(T) : 0;
  }
  /// That workspace, or null.
  template <typename T>
  T* partial(const LaunchArguments& arguments) const {
    return blocks > 1 ? static_cast<T*>(arguments.workspace) : nullptr;
  }
};

/// One block where `work` (elements read) is small enough for that to be faster than a second launch, else blocks of
/// 256 threads for `per_block` of the `items` each, at most 1024 of them.
inline SumGrid sum_grid(std::int64_t work, std::int64_t items, std::int64_t per_block) {
  constexpr std::int64_t alone = 32768;
  if (work <= alone) return {};
  return {static_cast<int>(std::clamp<std::int64_t>((items + per_block - 1) / per_block, 1, 1024)), 256};
}

/// The second launch of a sum whose first had the grid `grid`: nothing where that delivered the result itself.
template <typename T, typename Out, typename Finish>
void finish(const SumGrid& grid, const LaunchArguments& arguments, Out* out, Finish finish) {
  if (grid.blocks == 1) return;
  finish_kernel<<<1, SumGrid::finish_threads, 0, stream_of(arguments)>>>(grid.partial<T>(arguments), grid.blocks, out,
                                                                         finish);
}

}  // namespace trainctl::cuda
