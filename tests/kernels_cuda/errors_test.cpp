// What each status of CUDA's ends a run with.
#include <doctest/doctest.h>
#include <fmt/core.h>

#include <set>
#include <string>

#include "base/error.h"
#include "kernels/cuda/runtime.h"

using namespace trainctl;

namespace {

std::string message_of(cudaError_t status, ErrorKind kind) {
  try {
    cuda::check(status, "launching a step");
  } catch (const Error& error) {
    CHECK(error.kind() == kind);
    return error.what();
  }
  FAIL("no error");
  return "";
}

}  // namespace

TEST_CASE("statuses of CUDA's become errors whose exit code and advice fit") {
  CHECK_NOTHROW(cuda::check(cudaSuccess, "launching a step"));
  const auto says = [](cudaError_t status, ErrorKind kind, const char* advice) {
    CAPTURE(static_cast<int>(status));
    const std::string message = message_of(status, kind);
    CHECK(message.starts_with(
        fmt::format("CUDA, while launching a step: {} ({}); ", cudaGetErrorString(status), cudaGetErrorName(status))));
    CHECK(message.find(advice) != std::string::npos);
  };
  says(cudaErrorMemoryAllocation, ErrorKind::environment, "a smaller batch or model");
  for (const auto status :
       {cudaErrorNoKernelImageForDevice, cudaErrorInvalidKernelImage, cudaErrorUnsupportedPtxVersion})
    says(status, ErrorKind::environment, "this build has code for sm_80 and sm_90");
  for (const auto status : {cudaErrorDevicesUnavailable, cudaErrorECCUncorrectable, cudaErrorHardwareStackError,
                            cudaErrorNvlinkUncorrectable, cudaErrorContained, cudaErrorSystemNotReady,
                            cudaErrorSystemDriverMismatch, cudaErrorInsufficientDriver, cudaErrorNoDevice,
                            cudaErrorDeviceUninitialized, cudaErrorExternalDevice, cudaErrorUnknown})
    says(status, ErrorKind::environment, "the device is lost to this process. Checkpoints saved before are intact");
  for (const auto status : {cudaErrorIllegalAddress, cudaErrorLaunchFailure, cudaErrorInvalidValue})
    says(status, ErrorKind::internal, "checkpoints saved before are intact");
}
