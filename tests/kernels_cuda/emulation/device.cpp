// Stands in for kernels/cuda/device.cpp.
#include "device.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace emulation {

void* EmulatedDevice::allocate(std::size_t bytes) {
  constexpr std::size_t alignment = 256;
  void* memory = std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
  return std::memset(memory, 0, bytes);
}
void EmulatedDevice::release(void* memory) noexcept {
  std::free(memory);
}
void EmulatedDevice::upload(void* to, const void* from, std::size_t bytes) {
  std::memcpy(to, from, bytes);
}
void EmulatedDevice::download(void* to, const void* from, std::size_t bytes) {
  std::memcpy(to, from, bytes);
}
void EmulatedDevice::synchronize() {
  turn_round();
}
std::unique_ptr<trainctl::Replay> EmulatedDevice::record(std::vector<trainctl::BoundLaunch>) {
  return nullptr;
}

}  // namespace emulation

namespace trainctl::cuda {

int multiprocessors() {
  return 3;
}

/// Few blocks, so that loops over what is left go round.
int grid(std::int64_t items, int per_block, int) {
  return static_cast<int>(std::clamp<std::int64_t>((items + per_block - 1) / per_block, 1, multiprocessors()));
}

}  // namespace trainctl::cuda
