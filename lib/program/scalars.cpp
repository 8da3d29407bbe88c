#include "program/scalars.h"

#include <cstring>

#include "base/error.h"

namespace trainctl {

ScalarRow::ScalarRow(Device& device) : device_(device), memory_(device, memory_bytes(device)), row_(capacity) {}

int ScalarRow::slot(std::string_view name) {
  if (const auto found = slots_.find(name); found != slots_.end()) return found->second;
  if (names_.size() == capacity) fail(ErrorKind::config, "more than {} values change from step to step", capacity);
  const int slot = static_cast<int>(names_.size());
  names_.emplace_back(name);
  slots_.emplace(name, slot);
  return slot;
}

void ScalarRow::set(int slot, float value) {
  std::uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof value);
  changed_ |= row_[slot] != bits;
  row_[slot] = bits;
}

void ScalarRow::set(int slot, std::int64_t value) {
  changed_ |= row_[slot] != static_cast<std::uint64_t>(value);
  row_[slot] = static_cast<std::uint64_t>(value);
}

void ScalarRow::publish() {
  if (!changed_ || names_.empty()) return;
  device_.upload(memory_.data(), row_.data(), 8 * names_.size());
  changed_ = false;
}

}  // namespace trainctl
