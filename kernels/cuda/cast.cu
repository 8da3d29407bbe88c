// cast: between f32 and bf16.
#include "kernels/cuda/runtime.h"

namespace trainctl::cuda {
namespace {

template <typename From, typename To>
__global__ void cast_kernel(const From* x, To* y, std::int64_t n) {
  const auto stride = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  for (std::int64_t i = blockIdx.x * static_cast<std::int64_t>(blockDim.x) + threadIdx.x; i < n; i += stride)
    y[i] = static_cast<To>(static_cast<float>(x[i]));
}

std::optional<KernelPlan> plan(const KernelRequest& request) {
  if (!is_float(request.inputs[0]->dtype) || !is_float(request.outputs[0].dtype)) return std::nullopt;
  return uniform_plan(request, shared_layout(request), "cuda");
}

std::unique_ptr<Launch> prepare(const KernelRequest& request, const KernelPlan& plan) {
  const std::int64_t n = stored_elements(request, plan);
  constexpr int threads = 256;
  const int blocks = grid(n, threads);
  return with_float(request.inputs[0]->dtype, [&](auto from) {
    using From = decltype(from);
    return with_float(request.outputs[0].dtype, [&](auto to) -> std::unique_ptr<Launch> {
      using To = decltype(to);
      return make_launch([=](const LaunchArguments& a) {
        cast_kernel<From, To><<<blocks, threads, 0, stream_of(a)>>>(in<From>(a, 0), out<To>(a, 0), n);
      });
    });
  });
}

const RegisterCuda registered[] = {{"cast", plan, prepare}};

}  // namespace
}  // namespace trainctl::cuda
