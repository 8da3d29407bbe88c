// Counter-based random numbers: a value is a function of (stream, step, sample, element), so there is no state to save.
// Source: Salmon, Moraes, Dror, Shaw: Parallel random numbers: as easy as 1, 2, 3 (SC 2011). Usable in CUDA device
// code.
#pragma once

#include <cstdint>
#include <string_view>

#if defined(__CUDACC__)
#define TRAINCTL_HOST_DEVICE __host__ __device__
#else
#define TRAINCTL_HOST_DEVICE
#endif

namespace trainctl {

/// Four 32-bit words: a counter or a block of random bits.
struct Words4 {
  std::uint32_t word[4];
};

/// Philox4x32-10: ten rounds of a keyed bijection of the 128-bit counter. `key` holds its low word in the low half.
TRAINCTL_HOST_DEVICE constexpr Words4 philox4x32(Words4 counter, std::uint64_t key) {
  std::uint32_t key0 = static_cast<std::uint32_t>(key);
  std::uint32_t key1 = static_cast<std::uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t product0 = std::uint64_t{0xD2511F53u} * counter.word[0];
    const std::uint64_t product1 = std::uint64_t{0xCD9E8D57u} * counter.word[2];
    counter = {
        {static_cast<std::uint32_t>(product1 >> 32) ^ counter.word[1] ^ key0, static_cast<std::uint32_t>(product1),
         static_cast<std::uint32_t>(product0 >> 32) ^ counter.word[3] ^ key1, static_cast<std::uint32_t>(product0)}};
    key0 += 0x9E3779B9u;  // the golden ratio
    key1 += 0xBB67AE85u;  // sqrt(3) - 1
  }
  return counter;
}

/// Random bits of elements 4 * block ... 4 * block + 3 of one sample in one step.
TRAINCTL_HOST_DEVICE constexpr Words4 random_block(std::uint64_t stream, std::uint64_t step, std::uint32_t sample,
                                                   std::uint32_t block) {
  return philox4x32({{block, sample, static_cast<std::uint32_t>(step), static_cast<std::uint32_t>(step >> 32)}},
                    stream);
}

/// Random bits of one element; the same as its word of random_block. Elements below 2^34.
TRAINCTL_HOST_DEVICE constexpr std::uint32_t random_bits(std::uint64_t stream, std::uint64_t step, std::uint32_t sample,
                                                         std::uint64_t element) {
  return random_block(stream, step, sample, static_cast<std::uint32_t>(element >> 2)).word[element & 3];
}

/// Uniform in [0, 1), a multiple of 2^-24.
TRAINCTL_HOST_DEVICE constexpr float uniform_float(std::uint32_t bits) {
  return static_cast<float>(bits >> 8) * 0x1p-24f;
}

/// Uniform in [0, 1), a multiple of 2^-53.
TRAINCTL_HOST_DEVICE constexpr double uniform_double(std::uint32_t high, std::uint32_t low) {
  return static_cast<double>(((std::uint64_t{high} << 32) | low) >> 11) * 0x1p-53;
}

/// Nearly uniform in 0 ... count - 1 (bias below count / 2^32).
TRAINCTL_HOST_DEVICE constexpr std::uint32_t uniform_below(std::uint32_t bits, std::uint32_t count) {
  return static_cast<std::uint32_t>((std::uint64_t{bits} * count) >> 32);
}

/// Scrambles 64 bits one to one: the finaliser of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014).
TRAINCTL_HOST_DEVICE constexpr std::uint64_t mix64(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
  return x ^ (x >> 31);
}

/// The stream of whoever bears `path` ("features.3", "data.train.order") in an experiment with `seed`: FNV-1a of the
/// path, mixed with the seed. Part of the checkpoint format's promise: it never changes.
constexpr std::uint64_t stream_hash(std::uint64_t seed, std::string_view path) {
  std::uint64_t hash = 0xCBF29CE484222325u;
  for (const char c : path) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3u;
  return mix64(hash ^ mix64(seed + 0x9E3779B97F4A7C15u));
}

}  // namespace trainctl
