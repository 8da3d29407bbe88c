// select: one of two tensors, whole. A thread copies a unit of bytes; where the chosen one lies in its place, nothing.
#include <cstdint>

#include "kernels/cuda/elements.cuh"

namespace trainctl::cuda {
namespace {

constexpr int threads = 256;

template <typename Unit>
__global__ void select_kernel(const std::int32_t* flag, const Unit* a, const Unit* b, Unit* y, std::int64_t units) {
  const Unit* chosen = *flag != 0 ? a : b;
  if (chosen == y) return;
  const auto stride = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  for (std::int64_t i = blockIdx.x * static_cast<std::int64_t>(blockDim.x) + threadIdx.x; i < units; i += stride)
    y[i] = chosen[i];
}

std::optional<KernelPlan> plan(const KernelRequest& request) {
  KernelPlan plan = KernelPlan::row_major(request, "cuda");
  plan.in_place = {{0, 2}, {0, 1}};
  return plan;
}

std::unique_ptr<Launch> prepare(const KernelRequest& request, const KernelPlan&) {
  const TensorType& type = request.outputs[0];
  return with_bits(size_bytes(type.dtype), [&](auto unit) {
    using Unit = decltype(unit);
    return make_launch([units = type.elements()](const LaunchArguments& a) {
      select_kernel<Unit><<<grid(units, threads), threads, 0, stream_of(a)>>>(in<std::int32_t>(a, 0), in<Unit>(a, 1),
                                                                              in<Unit>(a, 2), out<Unit>(a, 0), units);
    });
  });
}

const RegisterCuda registered[] = {{"select", plan, prepare}};

}  // namespace
}  // namespace trainctl::cuda
