#include "base/clock.h"

#include <doctest/doctest.h>

#include <limits>

using namespace trainctl;

TEST_CASE("timestamps are UTC in ISO 8601") {
  using std::chrono::seconds;
  CHECK(utc_timestamp(std::chrono::system_clock::time_point{}) == "1970-01-01T00:00:00Z");
  CHECK(utc_timestamp(std::chrono::system_clock::time_point{seconds(1773480413)}) == "2026-03-14T09:26:53Z");
}

TEST_CASE("durations as people say them") {
  CHECK(human_duration(0.0008) == "0.8 ms");
  CHECK(human_duration(0.012) == "12 ms");
  CHECK(human_duration(0.9999) == "1.0 s");
  CHECK(human_duration(4.2) == "4.2 s");
  CHECK(human_duration(59.99) == "1 min 00 s");
  CHECK(human_duration(187) == "3 min 07 s");
  CHECK(human_duration(11.5 * 3600) == "11 h 30 min");
  CHECK(human_duration(3599.9) == "1 h 00 min");
  CHECK(human_duration(51 * 3600) == "2 d 03 h");
  CHECK(human_duration(-2) == "-2.0 s");
  CHECK(human_duration(std::numeric_limits<double>::infinity()) == "unknown");
}

TEST_CASE("the monotonic clock does not go back") {
  const double before = monotonic_seconds();
  CHECK(monotonic_seconds() >= before);
}
