// Stands in for CUDA's header of this name.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

/// The upper half of an f32.
struct __nv_bfloat16 {
  __nv_bfloat16() = default;
  __nv_bfloat16(float value) {
    const auto word = std::bit_cast<std::uint32_t>(value);
    const std::uint32_t to_even = 0x7FFF + (word >> 16 & 1);
    bits_ = std::isnan(value) ? 0x7FFF : static_cast<std::uint16_t>((word + to_even) >> 16);
  }
  __nv_bfloat16(double value) = delete;  // CUDA rounds once
  operator float() const { return std::bit_cast<float>(static_cast<std::uint32_t>(bits_) << 16); }

 private:
  std::uint16_t bits_;
};

struct alignas(4) __nv_bfloat162 {
  __nv_bfloat16 x, y;
};

inline __nv_bfloat16 __float2bfloat16_rn(float value) {
  return value;
}
inline __nv_bfloat162 __floats2bfloat162_rn(float x, float y) {
  return {x, y};
}
inline unsigned short __bfloat16_as_ushort(__nv_bfloat16 value) {
  return std::bit_cast<std::uint16_t>(value);
}
