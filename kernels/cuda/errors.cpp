// What CUDA's statuses mean to a run.
#include <fmt/core.h>

#include "kernels/cuda/runtime.h"

namespace trainctl::cuda {

void check(cudaError_t status, const char* what) {
  if (status == cudaSuccess) return;
  const std::string text =
      fmt::format("CUDA, while {}: {} ({})", what, cudaGetErrorString(status), cudaGetErrorName(status));
  switch (status) {
    case cudaErrorMemoryAllocation:
      fail(ErrorKind::environment, "{}; use a smaller batch or model, or a GPU with more memory", text);
    case cudaErrorNoKernelImageForDevice:
    case cudaErrorInvalidKernelImage:
    case cudaErrorUnsupportedPtxVersion:
      fail(ErrorKind::environment,
           "{}; this build has code for sm_80 and sm_90, and PTX for newer ones; use another "
           "GPU, or --device cpu",
           text);
    case cudaErrorDevicesUnavailable:
    case cudaErrorECCUncorrectable:
    case cudaErrorHardwareStackError:
    case cudaErrorNvlinkUncorrectable:
    case cudaErrorContained:
    case cudaErrorSystemNotReady:
    case cudaErrorSystemDriverMismatch:
    case cudaErrorInsufficientDriver:
    case cudaErrorNoDevice:
    case cudaErrorDeviceUninitialized:
    case cudaErrorExternalDevice:
    case cudaErrorUnknown:
      fail(ErrorKind::environment,
           "{}; the device is lost to this process. Checkpoints saved before are intact: start again, on another GPU "
           "if it happens twice",
           text);
    default:
      fail(ErrorKind::internal, "{}; checkpoints saved before are intact", text);
  }
}

}  // namespace trainctl::cuda
