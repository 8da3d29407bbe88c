// Where the samples of each split lie while programs run.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "data/dataset.h"
#include "device/device.h"

namespace trainctl {

struct DataSpec;

struct Placement {
  /// Batches that the device has room for, brought one after another; 0: all samples lie there.
  int places = 0;
  /// Whether all samples are read into the host's memory at the start; else from their files, when they are needed.
  bool loaded = true;
  /// Why it is not otherwise: "larger than data.memory_limit"; empty where nothing stands against memory.
  std::string reason = {};

  bool streams() const { return places > 0; }
};

using Placements = std::map<std::string, Placement, std::less<>>;
using DataInfos = std::map<std::string, DatasetInfo, std::less<>>;

/// Places splits by `data.memory_limit` (without one, half of the host's memory holds what is loaded) and, where the
/// device's memory is its own, by the `room` that is left there for data: the largest splits are brought batch by batch
/// until the others fit. Without `room` the device uses what the host has loaded where it lies.
Placements place_data(const DataSpec& spec, const DataInfos& data, std::optional<std::size_t> room);

/// "45.0 MiB of samples, on the device"
std::string placement_text(const Placement& placement, std::uint64_t bytes, const Device& device);

}  // namespace trainctl
