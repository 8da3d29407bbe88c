// What kernels that go through memory element by element share: accesses of 16 bytes, index types, the layout.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/cuda/runtime.h"

namespace trainctl::cuda {

inline bool channels_last(const Layout& layout) {
  return layout.tag() == "acdb";
}

/// Channels last where an operand of the first output's shape lies so, else row-major.
inline Layout shared_image_layout(const KernelRequest& request) {
  const Layout layout = shared_layout(request);
  return channels_last(layout) ? layout : Layout();
}

/// Calls function with an unsigned integer in which numbers up to `count`, and a grid's step more, can be computed.
template <typename Function>
auto with_index(std::int64_t count, Function function) {
  if (count < (std::int64_t{1} << 31)) return function(std::uint32_t());
  return function(std::uint64_t());
}

/// Calls function with an unsigned integer of `bytes` bytes.
template <typename Function>
auto with_bits(std::size_t bytes, Function function) {
  if (bytes == 8) return function(std::uint64_t());
  if (bytes == 4) return function(std::uint32_t());
  if (bytes == 2) return function(std::uint16_t());
  return function(std::uint8_t());
}

/// Calls function with a value of the widest type, up to 16 bytes, in whose size all of `numbers` (addresses and counts
/// of bytes, or-ed together) can be divided.
template <typename Function>
auto with_unit(std::uintptr_t numbers, Function function) {
  if (numbers % 16 == 0) return function(uint4());
  return with_bits(numbers % 8 == 0 ? 8 : numbers % 4 == 0 ? 4 : numbers % 2 == 0 ? 2 : 1, function);
}

inline std::uintptr_t address(const void* pointer) {
  return reinterpret_cast<std::uintptr_t>(pointer);
}

/// N elements that are read or written at once; no more than 16 bytes.
template <typename T, int N>
struct alignas(sizeof(T) * N) Pack {
  T at[N];
};

/// The inputs of map(), all of as many elements.
template <typename T, int count>
struct Sources {
  const T* at[count];
};

/// For map(): its one input as it is.
struct Same {
  template <typename Number>
  __device__ Number operator()(const Number (&x)[1], std::int64_t) const {
    return x[0];
  }
};

/// Elements first ... first + N - 1 of map().
template <typename Number, int N, typename From, int count, typename To, typename Function>
__device__ void map_pack(const Sources<From, count>& x, To* y, std::int64_t first, const Function& function) {
  Pack<From, N> taken[count];
  Pack<To, N> result;
#pragma unroll
  for (int k = 0; k < count; ++k) taken[k] = *reinterpret_cast<const Pack<From, N>*>(x.at[k] + first);
#pragma unroll
  for (int j = 0; j < N; ++j) {
    Number numbers[count];
#pragma unroll
    for (int k = 0; k < count; ++k) numbers[k] = static_cast<Number>(taken[k].at[j]);
    result.at[j] = static_cast<To>(function(numbers, first + j));
  }
  *reinterpret_cast<Pack<To, N>*>(y + first) = result;
}

template <typename Number, int N, typename From, int count, typename To, typename Function>
__global__ void map_kernel(const Sources<From, count> x, To* y, std::int64_t n,
                           const __grid_constant__ Function function) {
  const std::int64_t thread = blockIdx.x * static_cast<std::int64_t>(blockDim.x) + threadIdx.x;
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  const std::int64_t packs = n / N;
  for (std::int64_t i = thread; i < packs; i += step) map_pack<Number, N>(x, y, i * N, function);
  // What fills no pack: less than N elements, one for each of the first threads.
  if (thread < n - packs * N) map_pack<Number, 1>(x, y, packs * N + thread, function);
}

/// y[i] = function({x_0[i], x_1[i], ...}, i) for i < n, computed in Number, with i in the order of memory. y may be one
/// of the inputs if From and To are one type.
template <typename Number, typename From, int count, typename To, typename Function>
void map(const Sources<From, count>& x, To* y, std::int64_t n, const Function& function, cudaStream_t stream) {
  constexpr int threads = 256;
  constexpr int pack = static_cast<int>(16 / std::max(sizeof(From), sizeof(To)));
  std::uintptr_t sources = 0;
  for (const From* source : x.at) sources |= address(source);
  if (sources % (pack * sizeof(From)) == 0 && address(y) % (pack * sizeof(To)) == 0) {
    map_kernel<Number, pack><<<grid(n / pack, threads), threads, 0, stream>>>(x, y, n, function);
  } else {
    map_kernel<Number, 1><<<grid(n, threads), threads, 0, stream>>>(x, y, n, function);
  }
}

}  // namespace trainctl::cuda
