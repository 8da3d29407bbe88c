// How the emulated runtime's functions are called: one at a time, not any more after a sticky error.
#pragma once

#include <cstddef>
#include <mutex>
#include <utility>

#include "runtime.h"

namespace emulation {

/// Keeps an error for cudaGetLastError; gives it back.
cudaError_t noted(cudaError_t error);

/// Bytes of memory that the device has.
std::size_t memory_bytes();

template <typename Function>
cudaError_t call(Function function) {
  const std::lock_guard lock(mutex());
  if (sticky() != cudaSuccess) return sticky();
  const cudaError_t error = noted(function());
  return sticky() != cudaSuccess ? sticky() : error;
}

}  // namespace emulation
