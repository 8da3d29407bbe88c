// Ops on scalars: increment, reciprocal, is_finite; and accumulate, whose operands mostly are.
#include <algorithm>
#include <cstdint>

#include "kernels/cuda/runtime.h"
#include "ops/metric.h"

namespace trainctl::cuda {
namespace {

/// Operands of one element each.
struct Scalars {
  static constexpr int most = 64;
  int count;
  const void* at[most];
  DType types[most];
};

__device__ double number(DType type, const void* operand, std::int64_t i = 0) {
  switch (type) {
    case DType::f32:
      return static_cast<const float*>(operand)[i];
    case DType::bf16:
      return static_cast<float>(static_cast<const __nv_bfloat16*>(operand)[i]);
    case DType::f64:
      return static_cast<const double*>(operand)[i];
    case DType::i32:
      return static_cast<const std::int32_t*>(operand)[i];
    case DType::i64:
      return static_cast<double>(static_cast<const std::int64_t*>(operand)[i]);
    case DType::u8:
      return static_cast<const std::uint8_t*>(operand)[i];
  }
  return 0.0;
}

/// Counters of a launch, one to a thread.
struct Counters {
  static constexpr int most = 128;
  const std::int64_t* n[most];
  std::int64_t* y[most];
};

__global__ void increment_kernel(const __grid_constant__ Counters counters) {
  *counters.y[threadIdx.x] = *counters.n[threadIdx.x] + 1;
}

__global__ void reciprocal_kernel(const float* s, float* y) {
  *y = 1.0f / *s;
}

/// One warp.
__global__ void is_finite_kernel(const __grid_constant__ Scalars scalars, std::int32_t* y) {
  bool finite = true;
  for (int i = static_cast<int>(threadIdx.x); i < scalars.count; i += 32)
    finite = finite && (!scalars.at[i] || isfinite(number(scalars.types[i], scalars.at[i])));
  finite = __all_sync(0xFFFFFFFFu, finite);
  if (threadIdx.x == 0) *y = finite;
}

__global__ void accumulate_kernel(std::int64_t count, const double* total, const void* value, DType type, double factor,
                                  double* y) {
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < count; i += step)
    y[i] = total[i] + factor * number(type, value, i);
}

std::optional<KernelPlan> plan_scalars(const KernelRequest& request) {
  if (request.inputs.size() > Scalars::most) return std::nullopt;
  for (const TensorType* type : request.inputs) {
    if (type && type->elements() != 1 && request.op != "accumulate") return std::nullopt;
  }
  KernelPlan plan = KernelPlan::row_major(request, "cuda");
  if (request.op != "is_finite") plan.in_place = {{0, 0}};
  return plan;
}

std::unique_ptr<Launch> prepare_increment(const KernelRequest& request, const KernelPlan&) {
  return make_launch([all = static_cast<int>(request.inputs.size())](const LaunchArguments& a) {
    for (int first = 0; first < all; first += Counters::most) {
      Counters counters{};
      const int count = std::min(Counters::most, all - first);
      for (int k = 0; k < count; ++k) counters.n[k] = in<std::int64_t>(a, first + k);
      for (int k = 0; k < count; ++k) counters.y[k] = out<std::int64_t>(a, first + k);
      increment_kernel<<<1, static_cast<unsigned>(count), 0, stream_of(a)>>>(counters);
    }
  });
}

std::optional<KernelPlan> plan_increment(const KernelRequest& request) {
  KernelPlan plan = KernelPlan::row_major(request, "cuda");
  for (int k = 0; k < static_cast<int>(request.inputs.size()); ++k) plan.in_place.emplace_back(k, k);
  return plan;
}

std::unique_ptr<Launch> prepare_reciprocal(const KernelRequest&, const KernelPlan&) {
  return make_launch([](const LaunchArguments& a) {
    reciprocal_kernel<<<1, 1, 0, stream_of(a)>>>(in<float>(a, 0), out<float>(a, 0));
  });
}

std::unique_ptr<Launch> prepare_is_finite(const KernelRequest& request, const KernelPlan&) {
  Scalars scalars{};
  for (const TensorType* type : request.inputs) scalars.types[scalars.count++] = type ? type->dtype : DType::f32;
  return make_launch([=](const LaunchArguments& a) {
    Scalars bound = scalars;
    std::copy_n(a.inputs, bound.count, bound.at);
    is_finite_kernel<<<1, 32, 0, stream_of(a)>>>(bound, out<std::int32_t>(a, 0));
  });
}

std::unique_ptr<Launch> prepare_accumulate(const KernelRequest& request, const KernelPlan&) {
  const double factor = as<AccumulateAttributes>(*request.attributes).factor;
  const DType type = request.inputs[1]->dtype;
  const std::int64_t count = request.outputs[0].elements();
  const int threads = count == 1 ? 1 : 256;
  return make_launch([=](const LaunchArguments& a) {
    accumulate_kernel<<<grid(count, threads), threads, 0, stream_of(a)>>>(count, in<double>(a, 0), a.inputs[1], type,
                                                                          factor, out<double>(a, 0));
  });
}

const RegisterCuda registered[] = {
    {"increment", plan_increment, prepare_increment},
    {"reciprocal", plan_scalars, prepare_reciprocal},
    {"is_finite", plan_scalars, prepare_is_finite},
    {"accumulate", plan_scalars, prepare_accumulate},
};

}  // namespace
}  // namespace trainctl::cuda
