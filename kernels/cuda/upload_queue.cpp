#include "kernels/cuda/upload_queue.h"

#include "base/log.h"

namespace trainctl::cuda {

CudaUploadQueue::CudaUploadQueue(std::span<std::byte> host, int places, cudaStream_t launches)
    : host_(host), launches_(launches), copies_(new_stream()) {
  const cudaError_t status = cudaHostRegister(host.data(), host.size(), cudaHostRegisterDefault);
  pinned_ = status == cudaSuccess;
  if (!pinned_) {
    cudaGetLastError();  // it is not sticky
    log::warn("{:.1f} MiB of host memory cannot be pinned ({}): batches are copied to the GPU between steps",
              static_cast<double>(host.size()) / (1 << 20), cudaGetErrorString(status));
  }
  // The places' memory is cleared in the stream of launches.
  for (int place = 0; place < places; ++place) {
    places_.emplace_back();
    leave(place);
  }
}

CudaUploadQueue::~CudaUploadQueue() {
  cudaStreamSynchronize(copies_.handle);
  if (pinned_) cudaHostUnregister(host_.data());
  cudaStreamDestroy(copies_.handle);
}

void CudaUploadQueue::fill(int place, std::span<const Part> parts) {
  const Place& filled = places_[place];
  check(cudaStreamWaitEvent(copies_.handle, filled.left.handle, 0), "ordering streams");
  for (const Part& part : parts) {
    check(cudaMemcpyAsync(part.to, part.from, part.bytes, cudaMemcpyHostToDevice, copies_.handle),
          "copying a batch to the device");
  }
  check(cudaEventRecord(filled.filled.handle, copies_.handle), "recording an event");
}

void CudaUploadQueue::enter(int place) {
  check(cudaStreamWaitEvent(launches_, places_[place].filled.handle, 0), "ordering streams");
}

void CudaUploadQueue::leave(int place) {
  check(cudaEventRecord(places_[place].left.handle, launches_), "recording an event");
}

bool CudaUploadQueue::filled(int place) {
  const cudaError_t status = cudaEventQuery(places_[place].filled.handle);
  if (status == cudaErrorNotReady) {
    cudaGetLastError();  // it is no error
    return false;
  }
  check(status, "copying a batch to the device");
  return true;
}

void CudaUploadQueue::wait(int place) {
  check(cudaEventSynchronize(places_[place].filled.handle), "copying a batch to the device");
}

}  // namespace trainctl::cuda
