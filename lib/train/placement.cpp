#include "train/placement.h"

#include <fmt/core.h>

#include <iterator>

#include "base/byte_count.h"
#include "data/memory_limit.h"
#include "train/spec.h"

namespace trainctl {
namespace {

/// Batches of a split that lie on a device of its own memory at a time: one that is read and one on its way.
constexpr int places_beside_launches = 2;

std::string bytes_text(std::uint64_t bytes) {
  return human_bytes(static_cast<double>(bytes));
}

}  // namespace

Placements place_data(const DataSpec& spec, const DataInfos& data, std::optional<std::size_t> room) {
  constexpr double mib = 1024.0 * 1024.0;
  const double host = static_cast<double>(usable_memory_bytes()) / 2.0;
  Placements placements;
  std::multimap<std::uint64_t, Placement*> whole;  // by size
  std::uint64_t taken = 0;
  for (const auto& [name, info] : data) {
    Placement& placement = placements[name];
    const auto bytes = static_cast<double>(info.bytes());
    placement.loaded = bytes <= (spec.memory_limit ? *spec.memory_limit * mib : host);
    if (!placement.loaded)
      placement.reason = spec.memory_limit ? "larger than data.memory_limit" : "larger than half of the host's memory";
    // A device with more memory than the host may hold what the host cannot, but for a limit that the user set.
    const bool streams = !placement.loaded && (!room || spec.memory_limit);
    if (streams) placement.places = room ? places_beside_launches : 1;
    if (streams || !room) continue;
    whole.emplace(info.bytes(), &placement);
    taken += info.bytes();
  }
  while (!whole.empty() && taken > *room) {
    const auto largest = std::prev(whole.end());
    Placement& placement = *largest->second;
    placement.places = places_beside_launches;
    placement.reason +=
        fmt::format("{}{}more than the {} that the device has for data", placement.reason.empty() ? "" : " and ",
                    largest->first > *room ? "" : "with the other splits ", bytes_text(*room));
    taken -= largest->first;
    whole.erase(largest);
  }
  return placements;
}

std::string placement_text(const Placement& placement, std::uint64_t bytes, const Device& device) {
  std::string where = device.memory() ? "on the device" : "in memory";
  if (placement.streams())
    where = placement.loaded ? "in the host's memory, brought batch by batch" : "in files, read batch by batch";
  else if (!placement.loaded)
    where += ", read from files at the start";
  return fmt::format("{} of samples, {}{}", bytes_text(bytes), where,
                     placement.reason.empty() ? "" : fmt::format(": {}", placement.reason));
}

}  // namespace trainctl
