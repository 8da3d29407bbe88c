// Stands in for kernels/cuda/device.cpp.
#include "device.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace emulation {

void* EmulatedDevice::allocate(std::size_t bytes) {
  constexpr std::size_t alignment = 256;
  void* memory = std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
  return std::memset(memory, 0, bytes);
}
void EmulatedDevice::release(void* memory) noexcept {
  std::free(memory);
}
void EmulatedDevice::do_upload(void* to, const void* from, std::size_t bytes) {
  std::memcpy(to, from, bytes);
}
void EmulatedDevice::do_download(void* to, const void* from, std::size_t bytes) {
  std::memcpy(to, from, bytes);
}
void EmulatedDevice::do_synchronize() {
  turn_round();
}
std::unique_ptr<trainctl::Replay> EmulatedDevice::record(std::vector<trainctl::BoundLaunch> launches) {
  struct Loop final : trainctl::Replay {
    std::vector<trainctl::BoundLaunch> launches;
    void run() override {
      for (const trainctl::BoundLaunch& bound : launches) bound.launch->run(bound.arguments);
    }
  };
  auto loop = std::make_unique<Loop>();
  loop->launches = std::move(launches);
  return loop;
}

}  // namespace emulation

namespace trainctl::cuda {

void check(cudaError_t status, const char* what) {
  require(status == cudaSuccess, what);
}

int multiprocessors() {
  return 3;
}

/// Few blocks, so that loops over what is left go round.
int grid(std::int64_t items, int per_block, int) {
  return static_cast<int>(std::clamp<std::int64_t>((items + per_block - 1) / per_block, 1, multiprocessors()));
}

}  // namespace trainctl::cuda
