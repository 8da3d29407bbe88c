// Stands in for CUDA's header of this name, which nvcc includes before everything else: the language of device code.
#pragma once

#include <cuda_runtime_api.h>
#include <math.h>

#include <bit>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "emulation.h"

#define __global__
#define __device__
#define __host__
#define __grid_constant__
#define __launch_bounds__(...)
#define __noinline__

extern uint3 threadIdx, blockIdx;
extern dim3 blockDim, gridDim;

// ---- synchronisation ----------------------------------------------------------------------------------------------

inline void __syncthreads(emulation::Place place = emulation::Place::current()) {
  emulation::barrier(place);
}
inline void __threadfence() {}

/// What the lane `source` gives to the same call.
template <typename T>
T __shfl_sync(std::uint32_t lanes, T value, int source, emulation::Place place = emulation::Place::current()) {
  static_assert(sizeof(T) <= sizeof(std::uint64_t) && std::is_trivially_copyable_v<T>);
  std::uint64_t word = 0;
  std::memcpy(&word, &value, sizeof(T));
  word = emulation::exchange(lanes, word, source % 32, place).received;
  std::memcpy(&value, &word, sizeof(T));
  return value;
}
template <typename T>
T __shfl_xor_sync(std::uint32_t lanes, T value, int mask, emulation::Place place = emulation::Place::current()) {
  return __shfl_sync(lanes, value, emulation::lane() ^ mask, place);
}
template <typename T>
T __shfl_down_sync(std::uint32_t lanes, T value, int by, emulation::Place place = emulation::Place::current()) {
  return __shfl_sync(lanes, value, emulation::lane() + by < 32 ? emulation::lane() + by : emulation::lane(), place);
}
inline std::uint32_t __ballot_sync(std::uint32_t lanes, int vote,
                                   emulation::Place place = emulation::Place::current()) {
  return emulation::exchange(lanes, vote != 0, emulation::lane(), place).votes;
}
inline int __all_sync(std::uint32_t lanes, int vote, emulation::Place place = emulation::Place::current()) {
  return __ballot_sync(lanes, vote, place) == lanes;
}
inline int __any_sync(std::uint32_t lanes, int vote, emulation::Place place = emulation::Place::current()) {
  return __ballot_sync(lanes, vote, place) != 0;
}

/// Adds 1, or starts again at 0 where the number is `most` already.
inline unsigned atomicInc(unsigned* number, unsigned most) {
  const unsigned before = *number;
  *number = before >= most ? 0 : before + 1;
  return before;
}

/// Adds to a number. Threads of the emulation take turns, so it need not be atomic.
template <std::integral T>
T atomicAdd(T* number, T more) {
  const T before = *number;
  *number = before + more;
  return before;
}

// ---- arithmetic ---------------------------------------------------------------------------------------------------

template <std::integral A, std::integral B>
constexpr auto min(A a, B b) {
  using T = std::common_type_t<A, B>;
  return static_cast<T>(a) < static_cast<T>(b) ? static_cast<T>(a) : static_cast<T>(b);
}
template <std::integral A, std::integral B>
constexpr auto max(A a, B b) {
  using T = std::common_type_t<A, B>;
  return static_cast<T>(a) < static_cast<T>(b) ? static_cast<T>(b) : static_cast<T>(a);
}
inline float min(float a, float b) {
  return fminf(a, b);
}
inline float max(float a, float b) {
  return fmaxf(a, b);
}

inline int __popc(unsigned bits) {
  return __builtin_popcount(bits);
}
inline std::uint32_t __umulhi(std::uint32_t a, std::uint32_t b) {
  return static_cast<std::uint32_t>(static_cast<std::uint64_t>(a) * b >> 32);
}
inline float __uint_as_float(std::uint32_t word) {
  return std::bit_cast<float>(word);
}
inline std::uint32_t __float_as_uint(float value) {
  return std::bit_cast<std::uint32_t>(value);
}
template <typename T>
T __ldg(const T* from) {
  return *from;
}
