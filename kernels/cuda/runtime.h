// What all of the CUDA module's files need: errors, the stream, launches made of a function.
#pragma once

#include <cuda_bf16.h>
#include <cuda_runtime_api.h>

#include <memory>
#include <string>
#include <utility>

#include "base/error.h"
#include "device/device.h"
#include "device/planning.h"

namespace trainctl::cuda {

/// Throws unless `status` is success: an environment Error for what trying again or another machine may mend (memory, a
/// lost or unsuitable device), else an internal one. `what` was being done: "copying to the device".
void check(cudaError_t status, const char* what);

/// The queue of a device.
class CudaStream final : public Stream {
 public:
  explicit CudaStream(cudaStream_t stream) : handle(stream) {}
  void synchronize() override { check(cudaStreamSynchronize(handle), "waiting for the device"); }
  const cudaStream_t handle;
};

/// A stream that does not wait for the default one; its owner destroys it.
inline cudaStream_t new_stream() {
  cudaStream_t stream = nullptr;
  check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "creating a stream");
  return stream;
}

/// A mark in a stream.
struct Event {
  explicit Event(unsigned flags = cudaEventDefault) {
    check(cudaEventCreateWithFlags(&handle, flags), "creating an event");
  }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  ~Event() { cudaEventDestroy(handle); }
  cudaEvent_t handle = nullptr;
};

/// The stream that a launch is to be enqueued on.
inline cudaStream_t stream_of(const LaunchArguments& arguments) {
  return static_cast<const CudaStream*>(arguments.stream)->handle;
}

/// Input or output i as a pointer to T; null for an operand left out.
template <typename T>
const T* in(const LaunchArguments& arguments, int i) {
  return static_cast<const T*>(arguments.inputs[i]);
}
template <typename T>
T* out(const LaunchArguments& arguments, int i) {
  return static_cast<T*>(arguments.outputs[i]);
}

/// Multiprocessors of the device in use, for grids of a size that fills it.
int multiprocessors();

/// Blocks for `items` at `per_block` each, at least one and at most `waves` full loads of the device: kernels step
/// through what is left with a grid-stride loop.
int grid(std::int64_t items, int per_block, int blocks_per_multiprocessor = 16);

/// Lets a kernel be launched with up to `bytes` of dynamic shared memory. A kernel has one limit, the last that was
/// set, for launches prepared before too; so it is a constant, and set once.
template <auto kernel, int bytes>
void allow_shared() {
  static const cudaError_t allowed = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes);
  check(allowed, "asking for shared memory");
}

/// A launch that calls `function(arguments)`.
template <typename Function>
class FunctionLaunch final : public Launch {
 public:
  explicit FunctionLaunch(Function function) : function_(std::move(function)) {}
  void run(const LaunchArguments& arguments) override {
    function_(arguments);
    check(cudaGetLastError(), "launching a kernel");
  }

 private:
  Function function_;
};
template <typename Function>
std::unique_ptr<Launch> make_launch(Function function) {
  return std::make_unique<FunctionLaunch<Function>>(std::move(function));
}

/// Registers a kernel for "cuda", made of its two functions: a table of these is a family's registration.
struct RegisterCuda {
  RegisterCuda(std::string op, PlanFunction plan, PrepareFunction prepare, int priority = priority::general,
               std::string name = "cuda") {
    KernelRegistry::instance().add(
        {std::move(op), "cuda", priority, std::move(name), std::make_unique<FunctionKernel>(plan, prepare)});
  }
};

/// Whether a type is one that activations have: f32 or bf16.
inline bool is_float(DType dtype) {
  return dtype == DType::f32 || dtype == DType::bf16;
}

/// Calls function with a value of the C++ type of an f32 or bf16 tensor: with_float(dtype, [&](auto zero) { using T =
/// decltype(zero); ... }).
template <typename Function>
auto with_float(DType dtype, Function function) {
  if (dtype == DType::bf16) return function(__nv_bfloat16());
  return function(float());
}

}  // namespace trainctl::cuda
