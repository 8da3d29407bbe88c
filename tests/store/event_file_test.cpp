#include "store/event_file.h"

#include <doctest/doctest.h>

#include <cmath>

using namespace trainctl;

TEST_CASE("CRC-32C of RFC 3720's examples") {
  CHECK(crc32c("123456789") == 0xe3069283u);
  CHECK(crc32c(std::string(32, '\0')) == 0x8a9136aau);
  CHECK(crc32c(std::string(32, '\xff')) == 0x62a8ab43u);
}

TEST_CASE("a histogram counts every finite number once") {
  const std::vector<float> values{0, 1, 2, 3, 4, 4, NAN, INFINITY};
  const Histogram histogram = Histogram::of(values, 4);
  CHECK(histogram.count == 6);
  CHECK(histogram.sum == 14);
  CHECK(histogram.sum_squares == 46);
  CHECK(histogram.limits == std::vector<double>{1, 2, 3, 4});
  CHECK(histogram.counts == std::vector<double>{1, 1, 1, 3});
  CHECK(Histogram::of(std::vector<float>{2, 2}, 4).counts == std::vector<double>{2});
  CHECK(Histogram::of(std::vector<float>{NAN}, 4).counts.empty());
}

TEST_CASE("records read back; torn and damaged ones do not") {
  const std::string head = version_record(1e9) + restart_record(1e9, 8);
  const std::string text =
      head + summary_record({.wall_time_s = 1e9, .step = 300, .scalars = {{"train/loss", 0.5}, {"lr", 0.1}}});
  const auto version = read_event(text, 0);
  REQUIRE(version);
  CHECK(version->first_name.empty());
  const auto restart = read_event(text, version->end);
  REQUIRE(restart);
  CHECK(restart->step == 8);
  const auto summary = read_event(text, restart->end);
  REQUIRE(summary);
  CHECK(summary->step == 300);
  CHECK(summary->first_name == "train/loss");
  CHECK(summary->end == text.size());
  CHECK_FALSE(read_event(text, text.size()));
  for (std::size_t size = head.size(); size < text.size(); ++size)
    CHECK_FALSE(read_event(text.substr(0, size), head.size()));
  for (std::size_t at = head.size(); at < text.size(); ++at) {
    std::string damaged = text;
    damaged[at] ^= 0x10;
    CHECK_FALSE(read_event(damaged, head.size()));
  }
}
