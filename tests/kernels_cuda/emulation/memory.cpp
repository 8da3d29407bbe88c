// The emulated runtime's memory: that of the device is the host's, of limited size; copies are work of streams.
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <stdexcept>

#include "call.h"

namespace {

constexpr std::size_t alignment = 256;
constexpr int garbage = 0xFF;

/// Blocks by their first byte.
class Blocks {
 public:
  void add(void* memory, std::size_t bytes) {
    blocks_[static_cast<std::byte*>(memory)] = bytes;
    bytes_ += bytes;
  }
  /// The bytes of a block that is no more; 0 if there was none.
  std::size_t remove(void* memory) {
    const auto found = blocks_.find(static_cast<std::byte*>(memory));
    if (found == blocks_.end()) return 0;
    const std::size_t bytes = found->second;
    blocks_.erase(found);
    bytes_ -= bytes;
    return bytes;
  }
  bool holds(const void* memory, std::size_t bytes) const {
    const auto* first = static_cast<const std::byte*>(memory);
    auto after = blocks_.upper_bound(const_cast<std::byte*>(first));
    if (after == blocks_.begin()) return false;
    --after;
    return first + bytes <= after->first + after->second;
  }
  std::size_t bytes() const { return bytes_; }

 private:
  std::map<std::byte*, std::size_t> blocks_;
  std::size_t bytes_ = 0;
};

Blocks device, pinned;

void expect(bool holds, const char* what) {
  if (!holds) throw std::runtime_error(what);
}

}  // namespace

namespace emulation {

std::size_t memory_bytes() {
  return static_cast<std::size_t>(setting("memory", 16384)) << 20;
}

}  // namespace emulation

using emulation::call;

cudaError_t cudaMalloc(void** memory, std::size_t bytes) {
  return call([&] {
    const std::size_t whole = (bytes + alignment - 1) / alignment * alignment;
    if (device.bytes() + whole > emulation::memory_bytes()) return cudaErrorMemoryAllocation;
    *memory = std::aligned_alloc(alignment, whole);
    std::memset(*memory, garbage, whole);
    device.add(*memory, whole);
    return cudaSuccess;
  });
}

cudaError_t cudaFree(void* memory) {
  return call([&] {
    if (!memory) return cudaSuccess;
    const std::size_t bytes = device.remove(memory);
    if (bytes == 0) return cudaErrorInvalidValue;
    std::memset(memory, garbage, bytes);
    std::free(memory);
    return cudaSuccess;
  });
}

cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total) {
  return call([&] {
    *total = emulation::memory_bytes();
    *free = *total - device.bytes();
    return cudaSuccess;
  });
}

cudaError_t cudaHostAlloc(void** memory, std::size_t bytes, unsigned) {
  return call([&] {
    *memory = std::malloc(bytes);
    pinned.add(*memory, bytes);
    return cudaSuccess;
  });
}
cudaError_t cudaFreeHost(void* memory) {
  return call([&] {
    if (pinned.remove(memory) == 0) return cudaErrorInvalidValue;
    std::free(memory);
    return cudaSuccess;
  });
}
cudaError_t cudaHostRegister(void* memory, std::size_t bytes, unsigned) {
  return call([&] {
    if (!memory || bytes == 0) return cudaErrorInvalidValue;
    if (pinned.holds(memory, 1)) return cudaErrorHostMemoryAlreadyRegistered;
    pinned.add(memory, bytes);
    return cudaSuccess;
  });
}
cudaError_t cudaHostUnregister(void* memory) {
  return call([&] { return pinned.remove(memory) ? cudaSuccess : cudaErrorHostMemoryNotRegistered; });
}

cudaError_t cudaMemset(void* memory, int value, std::size_t bytes) {
  return call([&] {
    if (!device.holds(memory, bytes)) return cudaErrorInvalidValue;
    std::memset(memory, value, bytes);
    return cudaSuccess;
  });
}
cudaError_t cudaMemsetAsync(void* memory, int value, std::size_t bytes, cudaStream_t stream) {
  return call([&] {
    return emulation::enqueue(stream, [=] {
      expect(device.holds(memory, bytes), "memory of the device is filled that is not there");
      std::memset(memory, value, bytes);
    });
  });
}

// What lies in pinned memory is read when the copy's turn comes, all else at once; nothing is given to memory that is
// not pinned but while the host waits.
cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
  return call([&] {
    const void* host = kind == cudaMemcpyHostToDevice ? from : to;
    const bool at_once = kind != cudaMemcpyDeviceToDevice && !pinned.holds(host, bytes);
    if (at_once && stream->captured) return cudaErrorStreamCaptureUnsupported;
    std::shared_ptr<std::byte[]> read;
    if (at_once && kind == cudaMemcpyHostToDevice) {
      read = std::make_shared<std::byte[]>(bytes);
      std::memcpy(read.get(), from, bytes);
    }
    const cudaError_t status = emulation::enqueue(stream, [=] {
      expect(kind == cudaMemcpyHostToDevice || device.holds(from, bytes),
             "memory of the device is read that is not there");
      expect(kind == cudaMemcpyDeviceToHost || device.holds(to, bytes),
             "memory of the device is written that is not there");
      expect(kind == cudaMemcpyDeviceToDevice || at_once || pinned.holds(host, bytes), "memory is not pinned any more");
      std::memcpy(to, read ? read.get() : from, bytes);
    });
    if (at_once && kind == cudaMemcpyDeviceToHost) emulation::drain(stream);
    return status;
  });
}
