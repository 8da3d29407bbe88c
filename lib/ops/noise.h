// Random tensors that are drawn inside the step.
#pragma once

#include <cstdint>
#include <string>

#include "device/attributes.h"
#include "device/types.h"
#include "ops/random.h"

namespace trainctl {

/// "random_normal": (step scalar i64) -> f32 of `shape`, independent numbers of mean 0 and deviation 1. Elements 2j and
/// 2j + 1 come from two words of a block (Box & Muller, 1958): with op_random(stream, step, j / 2), words
/// a = word[2 (j % 2)], b = word[2 (j % 2) + 1], as uniform floats u, v in [0, 1):
///   r = sqrt(-2 log(1 - u)),  r cos(2 pi v)  and  r sin(2 pi v)
struct NoiseAttributes final : Attributes {
  Shape shape;
  std::uint64_t stream = 0;
  NoiseAttributes(Shape s, std::uint64_t stream_) : shape(s), stream(stream_) {}
  std::string text() const override { return shape.text() + " stream=" + std::to_string(stream); }
};

/// The uniform numbers of pair j.
struct UniformPair {
  float u, v;
};
TRAINCTL_HOST_DEVICE constexpr UniformPair noise_pair(std::uint64_t stream, std::int64_t step, std::uint64_t pair) {
  const Words4 words = op_random(stream, step, pair / 2);
  const int first = static_cast<int>(2 * (pair % 2));
  return {uniform_float(words.word[first]), uniform_float(words.word[first + 1])};
}

}  // namespace trainctl
