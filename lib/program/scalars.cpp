#include "program/scalars.h"

#include <cstring>

#include "base/error.h"

namespace trainctl {

ScalarRow::ScalarRow(Device& device)
    : device_(device),
      runs_(static_cast<std::size_t>(device.most_runs())),
      memory_(device, memory_bytes(device)),
      row_(capacity),
      kept_(runs_ * capacity) {}

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
  row_[slot] = bits;
}

void ScalarRow::set(int slot, std::int64_t value) {
  row_[slot] = static_cast<std::uint64_t>(value);
}

void ScalarRow::keep(int run) {
  for (std::size_t slot = 0; slot < names_.size(); ++slot) kept_[slot * runs_ + run] = row_[slot];
}

void ScalarRow::publish() {
  if (!names_.empty()) device_.upload(memory_.data(), kept_.data(), run_bytes * runs_ * names_.size());
}

}  // namespace trainctl
