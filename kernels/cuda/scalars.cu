// Ops on scalars: increment, reciprocal, is_finite; and accumulate, whose operands mostly are.
#include <algorithm>
#include <cstdint>
#include <vector>

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

/// Sums of one number each, of a launch, one to a thread.
struct Sums {
  static constexpr int most = 64;
  const double* total[most];
  const void* value[most];
  double* y[most];
  double factor[most];
  DType types[most];
};

__global__ void sums_kernel(const __grid_constant__ Sums sums) {
  const auto k = threadIdx.x;
  *sums.y[k] = *sums.total[k] + sums.factor[k] * number(sums.types[k], sums.value[k]);
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
    if (type && type->elements() != 1) return std::nullopt;
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

/// Each result may take its first operand's place.
KernelPlan plan_each_in_place(const KernelRequest& request) {
  KernelPlan plan = KernelPlan::row_major(request, "cuda");
  for (int k = 0; k < static_cast<int>(request.outputs.size()); ++k) plan.in_place.emplace_back(k, k);
  return plan;
}

std::optional<KernelPlan> plan_increment(const KernelRequest& request) {
  return plan_each_in_place(request);
}

/// Several go into a launch where each is one number.
std::optional<KernelPlan> plan_accumulate(const KernelRequest& request) {
  const bool numbers = std::ranges::all_of(request.outputs, [](const TensorType& y) { return y.elements() == 1; });
  if (request.outputs.size() > 1 && !numbers) return std::nullopt;
  return plan_each_in_place(request);
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

std::unique_ptr<Launch> prepare_sums(const KernelRequest& request) {
  std::vector<DType> types;
  for (const TensorType* type : request.inputs) types.push_back(type->dtype);
  const std::vector<double>& factors = as<AccumulateAttributes>(*request.attributes).factors;
  return make_launch([factors, types](const LaunchArguments& a) {
    const auto all = static_cast<int>(factors.size());
    for (int first = 0; first < all; first += Sums::most) {
      Sums sums{};
      const int count = std::min(Sums::most, all - first);
      for (int k = 0; k < count; ++k) {
        sums.total[k] = in<double>(a, first + k);
        sums.value[k] = in<void>(a, all + first + k);
        sums.y[k] = out<double>(a, first + k);
        sums.factor[k] = factors[first + k];
        sums.types[k] = types[all + first + k];
      }
      sums_kernel<<<1, static_cast<unsigned>(count), 0, stream_of(a)>>>(sums);
    }
  });
}

std::unique_ptr<Launch> prepare_accumulate(const KernelRequest& request, const KernelPlan&) {
  if (request.outputs.size() > 1) return prepare_sums(request);
  const double factor = as<AccumulateAttributes>(*request.attributes).factors[0];
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
    {"accumulate", plan_accumulate, prepare_accumulate},
};

}  // namespace
}  // namespace trainctl::cuda
