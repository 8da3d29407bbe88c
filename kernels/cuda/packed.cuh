// Neighbouring elements of f32 or bf16 in registers, as they lie in memory.
#pragma once

#include <cuda_bf16.h>

#include <cstdint>
#include <cstring>
#include <type_traits>

namespace trainctl::cuda {

/// V elements of type T, 16 bytes or less. Kept as words and taken apart when they are used, so that loads of many can
/// be under way at once in few registers.
template <typename T, int V>
struct alignas(sizeof(T) * V) Packed {
  using Word = std::conditional_t<sizeof(T) * V % 4 == 0, std::uint32_t, std::uint16_t>;
  Word words[sizeof(T) * V / sizeof(Word)];

  static __device__ Packed load(const T* from) { return *reinterpret_cast<const Packed*>(from); }
  __device__ void store(T* to) const { *reinterpret_cast<Packed*>(to) = *this; }

  __device__ float operator[](int k) const {
    if constexpr (sizeof(T) == 4) {
      return __uint_as_float(words[k]);
    } else if constexpr (V == 1) {
      return __uint_as_float(static_cast<std::uint32_t>(words[0]) << 16);
    } else {  // the upper half of an f32
      return __uint_as_float(k % 2 == 0 ? words[k / 2] << 16 : words[k / 2] & 0xFFFF0000u);
    }
  }

  static __device__ Packed of(const float (&from)[V]) {
    Packed packed;
    if constexpr (sizeof(T) == 4) {
#pragma unroll
      for (int k = 0; k < V; ++k) packed.words[k] = __float_as_uint(from[k]);
    } else if constexpr (V == 1) {
      packed.words[0] = __bfloat16_as_ushort(__float2bfloat16_rn(from[0]));
    } else {
#pragma unroll
      for (int k = 0; k < V; k += 2) {
        const __nv_bfloat162 pair = __floats2bfloat162_rn(from[k], from[k + 1]);
        memcpy(&packed.words[k / 2], &pair, sizeof(pair));
      }
    }
    return packed;
  }
};

}  // namespace trainctl::cuda
