// Time: a monotonic clock for measuring, UTC for files, words for people.
#pragma once

#include <chrono>
#include <string>

namespace trainctl {

/// Seconds since some fixed moment; never jumps, whatever happens to the system's date.
double monotonic_seconds();

/// "2026-03-14T09:26:53Z" (ISO 8601)
std::string utc_timestamp(std::chrono::system_clock::time_point when = std::chrono::system_clock::now());

/// "0.8 ms", "12 ms", "4.2 s", "3 min 07 s", "11 h 30 min", "2 d 03 h"
std::string human_duration(double seconds);

}  // namespace trainctl
