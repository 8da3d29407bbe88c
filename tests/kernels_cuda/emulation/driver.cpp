// The emulated driver: what device there is, and its errors.
#include <algorithm>
#include <array>
#include <cstdlib>
#include <string>
#include <string_view>

#include "call.h"

namespace {

struct Known {
  cudaError_t error;
  const char* name;
  const char* text;
};
constexpr std::array known{
    Known{cudaSuccess, "cudaSuccess", "no error"},
    Known{cudaErrorInvalidValue, "cudaErrorInvalidValue", "invalid argument"},
    Known{cudaErrorMemoryAllocation, "cudaErrorMemoryAllocation", "out of memory"},
    Known{cudaErrorInsufficientDriver, "cudaErrorInsufficientDriver", "the driver is too old"},
    Known{cudaErrorDevicesUnavailable, "cudaErrorDevicesUnavailable", "the device is busy or unavailable"},
    Known{cudaErrorNoDevice, "cudaErrorNoDevice", "there is no device"},
    Known{cudaErrorNoKernelImageForDevice, "cudaErrorNoKernelImageForDevice", "no code for this device"},
    Known{cudaErrorECCUncorrectable, "cudaErrorECCUncorrectable", "uncorrectable ECC error"},
    Known{cudaErrorHostMemoryAlreadyRegistered, "cudaErrorHostMemoryAlreadyRegistered", "pinned already"},
    Known{cudaErrorNotReady, "cudaErrorNotReady", "not ready"},
    Known{cudaErrorIllegalAddress, "cudaErrorIllegalAddress", "an illegal memory access"},
    Known{cudaErrorLaunchFailure, "cudaErrorLaunchFailure", "unspecified launch failure"},
    Known{cudaErrorStreamCaptureUnsupported, "cudaErrorStreamCaptureUnsupported",
          "not allowed while a stream is captured"},
    Known{cudaErrorUnknown, "cudaErrorUnknown", "unknown error"},
};

const Known& of(cudaError_t error) {
  const auto found = std::ranges::find(known, error, &Known::error);
  return found != known.end() ? *found : known.back();
}

/// The text of a setting; empty if it is not given.
std::string text_of(std::string_view name) {
  const char* given = std::getenv("TRAINCTL_EMULATED_CUDA");
  std::string_view rest = given ? given : "";
  while (!rest.empty()) {
    const std::string_view pair = rest.substr(0, rest.find(','));
    rest.remove_prefix(std::min(rest.size(), pair.size() + 1));
    const std::size_t middle = std::min(pair.find('='), pair.size() - 1);
    if (pair.substr(0, middle) == name) return std::string(pair.substr(middle + 1));
  }
  return "";
}

cudaError_t last = cudaSuccess;
cudaError_t broken = cudaSuccess;
std::int64_t launches = 0;

int driver_version() {
  return static_cast<int>(emulation::setting("driver", CUDART_VERSION));
}

}  // namespace

namespace emulation {

std::recursive_mutex& mutex() {
  static std::recursive_mutex one;
  return one;
}

std::int64_t setting(const char* name, std::int64_t otherwise) {
  const std::string text = text_of(name);
  return text.empty() ? otherwise : std::stoll(text);
}

cudaError_t sticky() {
  return broken;
}
cudaError_t noted(cudaError_t error) {
  if (error != cudaSuccess && error != cudaErrorNotReady) last = error;
  return error;
}

void count_launch() {
  ++launches;
  const std::string text = text_of("fail");
  const std::size_t at = text.find('@');
  if (at == std::string::npos || std::stoll(text.substr(at + 1)) != launches) return;
  const auto named = std::ranges::find(known, text.substr(0, at), [](const Known& k) { return std::string(k.name); });
  broken = named != known.end() ? named->error : cudaErrorUnknown;
}

}  // namespace emulation

using emulation::call;

const char* cudaGetErrorName(cudaError_t error) {
  return of(error).name;
}
const char* cudaGetErrorString(cudaError_t error) {
  return of(error).text;
}
cudaError_t cudaGetLastError() {
  const std::lock_guard lock(emulation::mutex());
  return broken != cudaSuccess ? broken : std::exchange(last, cudaSuccess);
}

cudaError_t cudaDriverGetVersion(int* version) {
  *version = driver_version();
  return cudaSuccess;
}
cudaError_t cudaGetDeviceCount(int* count) {
  return call([&] {
    if (driver_version() < CUDART_VERSION) return cudaErrorInsufficientDriver;
    *count = 1;
    return cudaSuccess;
  });
}
cudaError_t cudaGetDevice(int* device) {
  return call([&] { return *device = 0, cudaSuccess; });
}
cudaError_t cudaSetDevice(int device) {
  return call([&] { return device == 0 ? cudaSuccess : cudaErrorInvalidValue; });
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int) {
  return call([&] {
    const auto capability = static_cast<int>(emulation::setting("sm", 90));
    *properties = {.name = "emulated GPU",
                   .totalGlobalMem = emulation::memory_bytes(),
                   .major = capability / 10,
                   .minor = capability % 10,
                   .multiProcessorCount = 3};
    return cudaSuccess;
  });
}
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr, int) {
  return call([&] { return *value = 3, cudaSuccess; });
}
