#include "base/philox.h"

#include <doctest/doctest.h>

#include <cstdint>
#include <set>

using namespace trainctl;

namespace {

bool equal(Words4 a, Words4 b) {
  for (int i = 0; i < 4; ++i) {
    if (a.word[i] != b.word[i]) return false;
  }
  return true;
}

}  // namespace

// Random123's published known-answer vectors for philox4x32, ten rounds.
TEST_CASE("Philox4x32-10 gives the published answers") {
  CHECK(equal(philox4x32({{0, 0, 0, 0}}, 0), {{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}}));
  CHECK(
      equal(philox4x32({{~0u, ~0u, ~0u, ~0u}}, ~std::uint64_t{0}), {{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}}));
  CHECK(equal(philox4x32({{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}}, 0x299f31d0a4093822),
              {{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}}));
}

TEST_CASE("an element's bits are its word of the block, and differ by every index") {
  const std::uint64_t step = (std::uint64_t{1} << 32) + 5;
  for (std::uint64_t element = 0; element < 8; ++element) {
    CHECK(random_bits(9, step, 3, element) ==
          random_block(9, step, 3, static_cast<std::uint32_t>(element / 4)).word[element % 4]);
  }
  const std::set<std::uint32_t> distinct{random_bits(9, step, 3, 1), random_bits(8, step, 3, 1),
                                         random_bits(9, 5, 3, 1), random_bits(9, step, 2, 1),
                                         random_bits(9, step, 3, 2)};
  CHECK(distinct.size() == 5);
}

TEST_CASE("uniform values keep to their interval") {
  CHECK(uniform_float(0) == 0.0f);
  CHECK(uniform_float(~0u) < 1.0f);
  CHECK(uniform_double(~0u, ~0u) < 1.0);
  CHECK(uniform_double(0x80000000u, 0) == 0.5);
  CHECK(uniform_below(~0u, 10) == 9);
  CHECK(uniform_below(0, 10) == 0);
}

TEST_CASE("uniform values have the mean and variance of the distribution") {
  constexpr int count = 1 << 16;
  double sum = 0, squares = 0;
  for (std::uint64_t i = 0; i < count; ++i) {
    const double x = uniform_float(random_bits(stream_hash(1, "test"), 0, 0, i));
    sum += x;
    squares += x * x;
  }
  const double mean = sum / count;
  // Five standard deviations of the two estimates.
  CHECK(mean == doctest::Approx(0.5).epsilon(5 * 0.2887 / 256 / 0.5));
  CHECK(squares / count - mean * mean == doctest::Approx(1.0 / 12).epsilon(5 * 0.0745 / 256 * 12));
}

TEST_CASE("streams are fixed for all time") {
  static_assert(stream_hash(42, "features.0") != stream_hash(42, "features.1"));
  static_assert(stream_hash(42, "features.0") != stream_hash(43, "features.0"));
  CHECK(stream_hash(0, "") == 0xaebe53f85cdc3c4c);
  CHECK(stream_hash(42, "features.3") == 0x1705b67c59e22148);
}
