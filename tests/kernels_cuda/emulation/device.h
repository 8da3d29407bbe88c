// The device "cuda" without a GPU: memory of the host, and launches by emulation.h.
#pragma once

#include "device/device.h"
#include "emulation.h"
#include "kernels/cuda/runtime.h"

namespace emulation {

class EmulatedDevice final : public trainctl::Device {
 public:
  std::string_view name() const override { return "cuda"; }
  std::string description() const override { return "emulated"; }
  bool reduced_precision() const override { return true; }
  bool concurrent() const override { return true; }
  void* allocate(std::size_t bytes) override;
  void release(void* memory) noexcept override;
  void do_upload(void* to, const void* from, std::size_t bytes) override;
  void do_download(void* to, const void* from, std::size_t bytes) override;
  /// Also turns round the order of threads and blocks, so that what is run twice is run in both.
  void do_synchronize() override;
  trainctl::Stream* stream() override { return &stream_; }
  std::unique_ptr<trainctl::Replay> record(std::vector<trainctl::BoundLaunch> launches) override;

 private:
  trainctl::cuda::CudaStream stream_{emulation::stream()};
};

}  // namespace emulation
