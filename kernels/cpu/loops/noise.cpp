// random_normal.
#include "ops/noise.h"

#include <cmath>
#include <numbers>

#include "kernels/cpu/loops/loop_kernel.h"

namespace trainctl::cpu {
namespace {

struct NoiseJob {
  long count;
  std::uint64_t stream;
  int threads;
};

void random_normal(const NoiseJob& job, const Operands& operands) {
  const std::int64_t step = *operands.in<std::int64_t>(0);
  float* y = operands.out<float>(0);
  const long pairs = (job.count + 1) / 2;
#pragma omp parallel for num_threads(job.threads) if (pairs > 2048)
  for (long j = 0; j < pairs; ++j) {
    const UniformPair pair = noise_pair(job.stream, step, static_cast<std::uint64_t>(j));
    const float radius = std::sqrt(-2.0f * std::log(1.0f - pair.u));
    const float angle = 2.0f * std::numbers::pi_v<float> * pair.v;
    y[2 * j] = radius * std::cos(angle);
    if (2 * j + 1 < job.count) y[2 * j + 1] = radius * std::sin(angle);
  }
}

std::unique_ptr<Launch> prepare(const KernelRequest& request, const KernelPlan&) {
  const auto& noise = as<NoiseAttributes>(*request.attributes);
  return loop_launch(request, random_normal, NoiseJob{request.outputs[0].elements(), noise.stream, request.threads});
}

const RegisterLoops registered{
    "random_normal", [](const KernelRequest& request) { return std::optional(row_major_plan(request)); }, prepare};

}  // namespace
}  // namespace trainctl::cpu
