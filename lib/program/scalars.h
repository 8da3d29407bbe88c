// The numbers that change from step to step, as one row in device memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "device/device.h"

namespace trainctl {

/// Named scalars of all programs of an experiment: each an eight-byte slot of a row. Kernels read the row at fixed
/// addresses; the host fills a row of its own and publishes it as a whole before the step that it belongs to, in the
/// device's order, so nothing is overwritten under a running step.
class ScalarRow {
 public:
  static constexpr int capacity = 512;
  explicit ScalarRow(Device& device);
  /// Bytes that the row takes on a device.
  static std::size_t memory_bytes(const Device&) { return 8 * capacity; }

  /// Slot of a scalar, given out when first asked for. An environment Error beyond `capacity`.
  int slot(std::string_view name);
  void set(int slot, float value);
  void set(int slot, std::int64_t value);
  void set(std::string_view name, float value) { set(slot(name), value); }
  void set(std::string_view name, std::int64_t value) { set(slot(name), value); }
  /// Hands the row to the device.
  void publish();
  void* address(int slot) const { return memory_.data() + 8 * slot; }
  /// Names in the order of their slots.
  const std::vector<std::string>& names() const { return names_; }

 private:
  Device& device_;
  Buffer memory_;
  std::vector<std::uint64_t> row_;
  std::vector<std::string> names_;
  std::map<std::string, int, std::less<>> slots_;
  bool changed_ = true;
};

}  // namespace trainctl
