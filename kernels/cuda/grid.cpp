// How many blocks fill the device.
#include <algorithm>

#include "kernels/cuda/runtime.h"

namespace trainctl::cuda {

int multiprocessors() {
  static const int count = [] {
    int device = 0, found = 0;
    check(cudaGetDevice(&device), "asking for the device");
    check(cudaDeviceGetAttribute(&found, cudaDevAttrMultiProcessorCount, device), "asking for the device");
    return found;
  }();
  return count;
}

int grid(std::int64_t items, int per_block, int blocks_per_multiprocessor) {
  const std::int64_t wanted = (items + per_block - 1) / per_block;
  return static_cast<int>(
      std::clamp<std::int64_t>(wanted, 1, std::int64_t{multiprocessors()} * blocks_per_multiprocessor));
}

}  // namespace trainctl::cuda
