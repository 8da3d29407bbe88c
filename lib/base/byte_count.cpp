#include "base/byte_count.h"

#include <fmt/core.h>

#include <cstdint>

namespace trainctl {

std::string human_bytes(double bytes) {
  const char* units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  int unit = 0;
  while (bytes >= 1024.0 && unit < 4) {
    bytes /= 1024.0;
    ++unit;
  }
  return unit == 0 ? fmt::format("{} B", static_cast<std::int64_t>(bytes))
                   : fmt::format("{:.1f} {}", bytes, units[unit]);
}

}  // namespace trainctl
