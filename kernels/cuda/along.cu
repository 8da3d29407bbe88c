// dot_along, scale_along, one_hot.
#include "ops/along.h"

#include "kernels/cuda/elements.cuh"
#include "kernels/cuda/reduce.cuh"

namespace trainctl::cuda {
namespace {

constexpr int threads = 256;

/// A tensor as (outer, kept, inner), row-major.
struct Along {
  std::int64_t outer, kept, inner;
};

template <typename T>
__device__ float product(const T* a, const T* b, std::int64_t i) {
  return static_cast<float>(a[i]) * (b ? static_cast<float>(b[i]) : 1.0f);
}

/// Block (k, part) sums a part of slice k: to `partial`[part][k], or, where there is one part, to y.
template <typename T>
__global__ void __launch_bounds__(threads)
    dot_slices_kernel(const Along along, const T* a, const T* b, float* partial, T* y) {
  const std::int64_t count = along.outer * along.inner, step = static_cast<std::int64_t>(gridDim.y) * blockDim.x;
  for (std::int64_t k = blockIdx.x; k < along.kept; k += gridDim.x) {
    float sum = 0.0f;
    for (std::int64_t i = static_cast<std::int64_t>(blockIdx.y) * blockDim.x + threadIdx.x; i < count; i += step)
      sum += product(a, b, (i / along.inner * along.kept + k) * along.inner + i % along.inner);
    sum = block_sum(sum);
    if (threadIdx.x != 0) continue;
    if (partial) {
      partial[blockIdx.y * along.kept + k] = sum;
    } else {
      y[k] = static_cast<T>(sum);
    }
  }
}

/// For inner = 1: a thread for each column and part of the rows.
template <typename T>
__global__ void __launch_bounds__(threads)
    dot_columns_kernel(const Along along, const T* a, const T* b, float* partial, T* y) {
  const std::int64_t k = blockIdx.x * static_cast<std::int64_t>(blockDim.x) + threadIdx.x;
  if (k >= along.kept) return;
  float sum = 0.0f;
  for (std::int64_t row = blockIdx.y; row < along.outer; row += gridDim.y) sum += product(a, b, row * along.kept + k);
  if (partial) {
    partial[blockIdx.y * along.kept + k] = sum;
  } else {
    y[k] = static_cast<T>(sum);
  }
}

/// y[k] = the sum of the parts, in their order.
template <typename T>
__global__ void add_parts_kernel(const float* partial, int parts, std::int64_t kept, T* y) {
  const std::int64_t k = blockIdx.x * static_cast<std::int64_t>(blockDim.x) + threadIdx.x;
  if (k >= kept) return;
  float sum = 0.0f;
  for (int part = 0; part < parts; ++part) sum += partial[part * kept + k];
  y[k] = static_cast<T>(sum);
}

template <typename T, typename Index>
__global__ void scale_along_kernel(Index count, Index kept, Index inner, const T* s, const T* x, T* y) {
  const Index step = static_cast<Index>(gridDim.x) * blockDim.x;
  for (Index i = static_cast<Index>(blockIdx.x) * blockDim.x + threadIdx.x; i < count; i += step) {
    const float factor = static_cast<float>(s[i / inner % kept]);
    y[i] = static_cast<T>(x ? factor * static_cast<float>(x[i]) : factor);
  }
}

template <typename Label, typename Index>
__global__ void one_hot_kernel(Index count, Index classes, Index inner, const Label* index, float* y) {
  const Index step = static_cast<Index>(gridDim.x) * blockDim.x;
  for (Index i = static_cast<Index>(blockIdx.x) * blockDim.x + threadIdx.x; i < count; i += step) {
    const Index c = i / inner % classes;
    const Label wanted = index[i / inner / classes * inner + i % inner];
    const bool known = wanted >= 0 && static_cast<std::uint64_t>(wanted) < classes;
    y[i] = !known ? nanf("") : static_cast<Index>(wanted) == c ? 1.0f : 0.0f;
  }
}

Along along_of(const KernelRequest& request) {
  const auto& attributes = as<AlongAttributes>(*request.attributes);
  return {attributes.outer(), attributes.kept().elements(), attributes.inner()};
}

/// How a dot_along is cut up. It depends on shapes alone.
struct DotGrid {
  bool columns;
  dim3 blocks{1, 1};

  explicit DotGrid(const Along& along) : columns(along.inner == 1 && along.kept >= 32) {
    constexpr std::int64_t enough = 512;  // blocks that fill the device
    const std::int64_t wide =
        columns ? (along.kept + threads - 1) / threads : std::min<std::int64_t>(along.kept, 65535);
    const std::int64_t work = columns ? along.outer / 16 : along.outer * along.inner / (8 * threads);
    const std::int64_t parts = std::clamp<std::int64_t>(std::min(enough / wide, work), 1, enough);
    blocks = dim3(static_cast<unsigned>(wide), static_cast<unsigned>(parts));
  }
  int parts() const { return static_cast<int>(blocks.y); }
};

std::optional<KernelPlan> plan_along(const KernelRequest& request) {
  const DType dtype = request.outputs[0].dtype;
  if (!is_float(dtype) || !all_of_type(request, dtype)) return std::nullopt;
  KernelPlan plan = KernelPlan::row_major(request, "cuda");
  const Along along = along_of(request);
  if (request.op == "dot_along") {
    const DotGrid grid(along);
    if (grid.parts() > 1) plan.workspace_bytes = static_cast<std::size_t>(grid.parts() * along.kept) * sizeof(float);
  } else if (request.has(1)) {
    plan.in_place = {{0, 1}};
  }
  return plan;
}

template <typename T>
std::unique_ptr<Launch> launch_dot(const Along& along, bool pair) {
  const DotGrid grid(along);
  return make_launch([=](const LaunchArguments& a) {
    const T* b = pair ? in<T>(a, 1) : nullptr;
    float* partial = grid.parts() > 1 ? static_cast<float*>(a.workspace) : nullptr;
    if (grid.columns) {
      dot_columns_kernel<T><<<grid.blocks, threads, 0, stream_of(a)>>>(along, in<T>(a, 0), b, partial, out<T>(a, 0));
    } else {
      dot_slices_kernel<T><<<grid.blocks, threads, 0, stream_of(a)>>>(along, in<T>(a, 0), b, partial, out<T>(a, 0));
    }
    if (!partial) return;
    const auto blocks = static_cast<unsigned>((along.kept + threads - 1) / threads);
    add_parts_kernel<T><<<blocks, threads, 0, stream_of(a)>>>(partial, grid.parts(), along.kept, out<T>(a, 0));
  });
}

std::unique_ptr<Launch> prepare_dot(const KernelRequest& request, const KernelPlan&) {
  const Along along = along_of(request);
  const bool pair = request.has(1);
  return with_float(request.outputs[0].dtype, [&](auto zero) { return launch_dot<decltype(zero)>(along, pair); });
}

template <typename T, typename Index>
std::unique_ptr<Launch> launch_scale(const Along& along, bool given) {
  const std::int64_t count = along.outer * along.kept * along.inner;
  const int blocks = grid(count, threads);
  return make_launch([=](const LaunchArguments& a) {
    scale_along_kernel<T, Index><<<blocks, threads, 0, stream_of(a)>>>(
        static_cast<Index>(count), static_cast<Index>(along.kept), static_cast<Index>(along.inner), in<T>(a, 0),
        given ? in<T>(a, 1) : nullptr, out<T>(a, 0));
  });
}

std::unique_ptr<Launch> prepare_scale(const KernelRequest& request, const KernelPlan&) {
  const Along along = along_of(request);
  const bool given = request.has(1);
  return with_float(request.outputs[0].dtype, [&](auto zero) {
    return with_index(request.outputs[0].elements(),
                      [&](auto index) { return launch_scale<decltype(zero), decltype(index)>(along, given); });
  });
}

std::optional<KernelPlan> plan_one_hot(const KernelRequest& request) {
  return KernelPlan::row_major(request, "cuda");
}

template <typename Label, typename Index>
std::unique_ptr<Launch> launch_one_hot(const Shape& y) {
  const std::int64_t count = y.elements(), classes = y[1], inner = y.slice(2).elements();
  const int blocks = grid(count, threads);
  return make_launch([=](const LaunchArguments& a) {
    one_hot_kernel<Label, Index>
        <<<blocks, threads, 0, stream_of(a)>>>(static_cast<Index>(count), static_cast<Index>(classes),
                                               static_cast<Index>(inner), in<Label>(a, 0), out<float>(a, 0));
  });
}

std::unique_ptr<Launch> prepare_one_hot(const KernelRequest& request, const KernelPlan&) {
  const Shape& y = request.outputs[0].shape;
  const bool wide = request.inputs[0]->dtype == DType::i64;
  return with_index(y.elements(), [&](auto index) {
    using Index = decltype(index);
    return wide ? launch_one_hot<std::int64_t, Index>(y) : launch_one_hot<std::int32_t, Index>(y);
  });
}

const RegisterCuda registered[] = {{"dot_along", plan_along, prepare_dot},
                                   {"scale_along", plan_along, prepare_scale},
                                   {"one_hot", plan_one_hot, prepare_one_hot}};

}  // namespace
}  // namespace trainctl::cuda
