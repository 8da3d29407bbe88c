// What random ops draw: shared by references and kernels of every device, so that their bits agree.
#pragma once

#include <cstdint>

#include "base/philox.h"

namespace trainctl {

/// Four random words of a stream at (step, index): Philox4x32-10 with key = stream and the counter
/// {low32(step), high32(step), low32(index), high32(index)}.
TRAINCTL_HOST_DEVICE constexpr Words4 op_random(std::uint64_t stream, std::int64_t step, std::uint64_t index) {
  const auto s = static_cast<std::uint64_t>(step);
  return philox4x32({{static_cast<std::uint32_t>(s), static_cast<std::uint32_t>(s >> 32),
                      static_cast<std::uint32_t>(index), static_cast<std::uint32_t>(index >> 32)}},
                    stream);
}

/// The uniform number in [0, 1) of one element under dropout: word element % 4 at index element / 4. The element is
/// kept where this is >= p.
TRAINCTL_HOST_DEVICE constexpr float dropout_uniform(std::uint64_t stream, std::int64_t step, std::uint64_t element) {
  return uniform_float(op_random(stream, step, element / 4).word[element % 4]);
}

/// A place in a grid of `rows` x `columns`.
struct RandomPlace {
  std::int64_t row;
  std::int64_t column;
};

/// A uniform place, of a sample's crop window or cutout centre: words 0 (row) and 1 (column) at index = sample, each by
/// floor(word * range / 2^32).
TRAINCTL_HOST_DEVICE constexpr RandomPlace random_place(std::uint64_t stream, std::int64_t step, std::uint64_t sample,
                                                        std::int64_t rows, std::int64_t columns) {
  const Words4 words = op_random(stream, step, sample);
  return {uniform_below(words.word[0], static_cast<std::uint32_t>(rows)),
          uniform_below(words.word[1], static_cast<std::uint32_t>(columns))};
}

/// Whether a sample is flipped: word 0 at index = sample as a uniform float is below p.
TRAINCTL_HOST_DEVICE constexpr bool random_flips(std::uint64_t stream, std::int64_t step, std::uint64_t sample,
                                                 float p) {
  return uniform_float(op_random(stream, step, sample).word[0]) < p;
}

}  // namespace trainctl
