// Random words in a row, for what is drawn on the host.
#pragma once

#include <cstdint>

#include "base/philox.h"

namespace trainctl {

/// The words of one (stream, round, sample), in order.
class WordStream {
 public:
  WordStream(std::uint64_t stream, std::uint64_t round, std::uint32_t sample = 0)
      : stream_(stream), round_(round), sample_(sample) {}

  std::uint32_t next() {
    if (used_ == 4) {
      block_ = random_block(stream_, round_, sample_, counter_++);
      used_ = 0;
    }
    return block_.word[used_++];
  }

  /// Uniform in [0, bound), without bias: Lemire, Fast random integer generation in an interval (ACM TOMACS 2019).
  std::uint32_t below(std::uint32_t bound) {
    std::uint64_t product = std::uint64_t{next()} * bound;
    if (static_cast<std::uint32_t>(product) < bound) {
      const std::uint32_t threshold = (0u - bound) % bound;
      while (static_cast<std::uint32_t>(product) < threshold) product = std::uint64_t{next()} * bound;
    }
    return static_cast<std::uint32_t>(product >> 32);
  }

  /// Uniform in [0, 1), a multiple of 2^-53.
  double uniform() {
    const std::uint32_t high = next();
    return uniform_double(high, next());
  }

 private:
  std::uint64_t stream_;
  std::uint64_t round_;
  std::uint32_t sample_;
  Words4 block_{};
  std::uint32_t counter_ = 0;
  int used_ = 4;
};

}  // namespace trainctl
