// random_normal: a thread a pair of elements.
#include "ops/noise.h"

#include "kernels/cuda/runtime.h"

namespace trainctl::cuda {
namespace {

constexpr int threads = 256;

__global__ void random_normal_kernel(const std::int64_t* step, float* y, std::int64_t count, std::uint64_t stream) {
  const auto stride = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  const std::int64_t pairs = (count + 1) / 2;
  for (std::int64_t j = blockIdx.x * static_cast<std::int64_t>(blockDim.x) + threadIdx.x; j < pairs; j += stride) {
    const UniformPair pair = noise_pair(stream, *step, static_cast<std::uint64_t>(j));
    const float radius = sqrtf(-2.0f * logf(1.0f - pair.u));
    const float angle = 6.283185307179586f * pair.v;
    y[2 * j] = radius * cosf(angle);
    if (2 * j + 1 < count) y[2 * j + 1] = radius * sinf(angle);
  }
}

std::optional<KernelPlan> plan(const KernelRequest& request) {
  return KernelPlan::row_major(request, "cuda");
}

std::unique_ptr<Launch> prepare(const KernelRequest& request, const KernelPlan&) {
  const std::int64_t count = request.outputs[0].elements();
  const std::uint64_t stream = as<NoiseAttributes>(*request.attributes).stream;
  return make_launch([=](const LaunchArguments& a) {
    random_normal_kernel<<<grid((count + 1) / 2, threads), threads, 0, stream_of(a)>>>(in<std::int64_t>(a, 0),
                                                                                       out<float>(a, 0), count, stream);
  });
}

const RegisterCuda registered[] = {{"random_normal", plan, prepare}};

}  // namespace
}  // namespace trainctl::cuda
