// The numbers that change from step to step, as rows in device memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "device/device.h"

namespace trainctl {

/// Named scalars of all programs of an experiment: each an eight-byte slot of a row. The host fills a row of its own
/// and keeps it for the run that it belongs to; kernels read the rows of a launch's runs at fixed addresses. The rows
/// of all runs of a launch are published as a whole before it, in the device's order, so nothing is overwritten under a
/// running step.
class ScalarRow {
 public:
  static constexpr int capacity = 512;
  explicit ScalarRow(Device& device);
  /// Bytes that the row takes on a device.
  static std::size_t memory_bytes(const Device& device) {
    return run_bytes * static_cast<std::size_t>(device.most_runs()) * capacity;
  }

  /// Slot of a scalar, given out when first asked for. An environment Error beyond `capacity`.
  int slot(std::string_view name);
  void set(int slot, float value);
  void set(int slot, std::int64_t value);
  void set(std::string_view name, float value) { set(slot(name), value); }
  void set(std::string_view name, std::int64_t value) { set(slot(name), value); }
  /// Keeps the row as it is now for a run of the next launch, the first being 0.
  void keep(int run);
  /// Hands what is kept to the device.
  void publish();
  /// Where the first run of a launch reads a scalar; each later one reads `run_bytes` behind the one before.
  void* address(int slot) const { return memory_.data() + run_bytes * runs_ * slot; }
  static constexpr std::size_t run_bytes = 8;
  /// Names in the order of their slots.
  const std::vector<std::string>& names() const { return names_; }

 private:
  Device& device_;
  std::size_t runs_;  ///< of a launch, at most
  Buffer memory_;     ///< by slot and run
  std::vector<std::uint64_t> row_;
  std::vector<std::uint64_t> kept_;  ///< as in memory_
  std::vector<std::string> names_;
  std::map<std::string, int, std::less<>> slots_;
};

}  // namespace trainctl
