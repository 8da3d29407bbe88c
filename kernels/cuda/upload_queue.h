// Copies from pinned memory of the host on a stream of their own.
#pragma once

#include <deque>
#include <span>

#include "device/device.h"
#include "kernels/cuda/runtime.h"

namespace trainctl::cuda {

/// Two events for each place order the copies' stream and that of launches: no side ever waits for more than the
/// other's last use of a place. All calls come between captures, never within one.
class CudaUploadQueue final : public UploadQueue {
 public:
  /// Pins `host`; where it cannot be, a warning says so, and copies take longer and do not run beside launches.
  CudaUploadQueue(std::span<std::byte> host, int places, cudaStream_t launches);
  CudaUploadQueue(const CudaUploadQueue&) = delete;
  CudaUploadQueue& operator=(const CudaUploadQueue&) = delete;
  ~CudaUploadQueue() override;

  void fill(int place, std::span<const Part> parts) override;
  void enter(int place) override;
  void leave(int place) override;
  bool filled(int place) override;
  void wait(int place) override;

 private:
  struct Place {
    Event left{cudaEventDisableTiming};                            ///< in the stream of launches
    Event filled{cudaEventDisableTiming | cudaEventBlockingSync};  ///< in that of copies
  };

  std::span<std::byte> host_;
  bool pinned_ = false;
  cudaStream_t launches_;
  CudaStream copies_;
  std::deque<Place> places_;
};

}  // namespace trainctl::cuda
