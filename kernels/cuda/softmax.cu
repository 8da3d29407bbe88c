// softmax, log_softmax and their gradients. One launch each.
#include "ops/softmax.h"

#include <limits>

#include "kernels/cuda/teams.cuh"

namespace trainctl::cuda {
namespace {

/// y = e^(x - max) / sum e^(x - max), or its logarithm. y may be x: a thread only reads again what it alone writes.
template <typename T, int V, bool logarithm>
__global__ void __launch_bounds__(team_block)
    softmax_kernel(const __grid_constant__ TeamRows rows, const T* x_all, T* y_all) {
  each_row<V>(rows, blockIdx.x, gridDim.x, [&](std::int64_t row, int extent, int first) {
    const T* x = x_all + row * rows.extent;
    T* y = y_all + row * rows.extent;
    const int step = rows.team * V;
    float top = -std::numeric_limits<float>::infinity(), sum = 0.0f;
    for (int i = first; i < extent; i += step) {
      const auto pack = Packed<T, V>::load(x + i);
#pragma unroll
      for (int k = 0; k < V; ++k) top = fmaxf(top, pack[k]);
    }
    top = team_max(top, rows.team);
    for (int i = first; i < extent; i += step) {
      const auto pack = Packed<T, V>::load(x + i);
#pragma unroll
      for (int k = 0; k < V; ++k) sum += expf(pack[k] - top);
    }
    sum = team_sum(sum, rows.team);
    const float log_sum = logarithm ? logf(sum) : 0.0f;
    for (int i = first; i < extent; i += step) {
      const auto pack = Packed<T, V>::load(x + i);
      float result[V];
#pragma unroll
      for (int k = 0; k < V; ++k) result[k] = logarithm ? pack[k] - top - log_sum : expf(pack[k] - top) / sum;
      Packed<T, V>::of(result).store(y + i);
    }
  });
}

/// dx = y (dy - sum dy y), or, of the logarithm, dy - e^y sum dy. dx may be dy or y.
template <bool logarithm>
__device__ float term(float dy, float y) {
  return logarithm ? dy : dy * y;
}
template <bool logarithm>
__device__ float slope(float dy, float y, float sum) {
  return logarithm ? dy - expf(y) * sum : y * (dy - sum);
}

template <typename T, int V, bool logarithm>
__global__ void __launch_bounds__(team_block)
    softmax_backward_kernel(const __grid_constant__ TeamRows rows, const T* dy_all, const T* y_all, T* dx_all) {
  each_row<V>(rows, blockIdx.x, gridDim.x, [&](std::int64_t row, int extent, int first) {
    const T *dy = dy_all + row * rows.extent, *y = y_all + row * rows.extent;
    T* dx = dx_all + row * rows.extent;
    const int step = rows.team * V;
    float sum = 0.0f;
    for (int i = first; i < extent; i += step) {
      const auto dy_pack = Packed<T, V>::load(dy + i), y_pack = Packed<T, V>::load(y + i);
#pragma unroll
      for (int k = 0; k < V; ++k) sum += term<logarithm>(dy_pack[k], y_pack[k]);
    }
    sum = team_sum(sum, rows.team);
    for (int i = first; i < extent; i += step) {
      const auto dy_pack = Packed<T, V>::load(dy + i), y_pack = Packed<T, V>::load(y + i);
      float result[V];
#pragma unroll
      for (int k = 0; k < V; ++k) result[k] = slope<logarithm>(dy_pack[k], y_pack[k], sum);
      Packed<T, V>::of(result).store(dx + i);
    }
  });
}

/// Vectors whose elements lie `inner` apart, side by side: a thread goes through one alone.
struct Columns {
  std::int64_t count, inner;
  int extent;
  __device__ std::int64_t start(std::int64_t column) const { return column / inner * inner * extent + column % inner; }
};

template <typename T, bool logarithm>
__global__ void softmax_columns_kernel(Columns columns, const T* x_all, T* y_all) {
  const std::int64_t stride = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  for (std::int64_t c = blockIdx.x * static_cast<std::int64_t>(blockDim.x) + threadIdx.x; c < columns.count;
       c += stride) {
    const T* x = x_all + columns.start(c);
    T* y = y_all + columns.start(c);
    float top = -std::numeric_limits<float>::infinity(), sum = 0.0f;
    for (int k = 0; k < columns.extent; ++k) top = fmaxf(top, static_cast<float>(x[k * columns.inner]));
    for (int k = 0; k < columns.extent; ++k) sum += expf(static_cast<float>(x[k * columns.inner]) - top);
    const float log_sum = logarithm ? logf(sum) : 0.0f;
    for (int k = 0; k < columns.extent; ++k) {
      const float shifted = static_cast<float>(x[k * columns.inner]) - top;
      y[k * columns.inner] = static_cast<T>(logarithm ? shifted - log_sum : expf(shifted) / sum);
    }
  }
}

template <typename T, bool logarithm>
__global__ void softmax_columns_backward_kernel(Columns columns, const T* dy_all, const T* y_all, T* dx_all) {
  const std::int64_t stride = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  for (std::int64_t c = blockIdx.x * static_cast<std::int64_t>(blockDim.x) + threadIdx.x; c < columns.count;
       c += stride) {
    const T *dy = dy_all + columns.start(c), *y = y_all + columns.start(c);
    T* dx = dx_all + columns.start(c);
    float sum = 0.0f;
    for (int k = 0; k < columns.extent; ++k)
      sum += term<logarithm>(static_cast<float>(dy[k * columns.inner]), static_cast<float>(y[k * columns.inner]));
    for (int k = 0; k < columns.extent; ++k) {
      const std::int64_t i = k * columns.inner;
      dx[i] = static_cast<T>(slope<logarithm>(static_cast<float>(dy[i]), static_cast<float>(y[i]), sum));
    }
  }
}

std::optional<KernelPlan> plan(const KernelRequest& request) {
  const TensorType& y = request.outputs[0];
  if (!is_float(y.dtype) || !all_of_type(request, y.dtype) || y.elements() == 0 ||
      y.shape[as<SoftmaxAttributes>(*request.attributes).axis] > (1 << 30))
    return std::nullopt;
  KernelPlan plan = KernelPlan::row_major(request, "cuda");
  for (int i = 0; i < static_cast<int>(request.inputs.size()); ++i) plan.in_place.push_back({0, i});
  return plan;
}

template <typename T, bool logarithm>
std::unique_ptr<Launch> prepare_as(const KernelRequest& request) {
  const Shape& shape = request.outputs[0].shape;
  int axis = as<SoftmaxAttributes>(*request.attributes).axis;
  if (axis < 0) axis += shape.rank();
  const std::int64_t extent = shape[axis], inner = shape.slice(axis + 1).elements();
  const std::int64_t count = shape.elements() / extent;
  const bool backward = request.op.ends_with("_backward");
  if (inner > 1) {
    const Columns columns{count, inner, static_cast<int>(extent)};
    constexpr int threads = 128;
    const int blocks = grid(count, threads);
    if (backward)
      return make_launch([=](const LaunchArguments& a) {
        softmax_columns_backward_kernel<T, logarithm>
            <<<blocks, threads, 0, stream_of(a)>>>(columns, in<T>(a, 0), in<T>(a, 1), out<T>(a, 0));
      });
    return make_launch([=](const LaunchArguments& a) {
      softmax_columns_kernel<T, logarithm><<<blocks, threads, 0, stream_of(a)>>>(columns, in<T>(a, 0), out<T>(a, 0));
    });
  }
  return make_launch([=](const LaunchArguments& a) {
    const T *first = in<T>(a, 0), *second = backward ? in<T>(a, 1) : nullptr;
    T* to = out<T>(a, 0);
    with_pack<T>(extent, address(first) | address(second) | address(to), [&](auto pack) {
      const TeamRows rows(count, extent, pack);
      if (backward) {
        softmax_backward_kernel<T, pack, logarithm>
            <<<rows.blocks(), team_block, 0, stream_of(a)>>>(rows, first, second, to);
      } else {
        softmax_kernel<T, pack, logarithm><<<rows.blocks(), team_block, 0, stream_of(a)>>>(rows, first, to);
      }
    });
  });
}

std::unique_ptr<Launch> prepare(const KernelRequest& request, const KernelPlan&) {
  return with_float(request.outputs[0].dtype, [&](auto zero) {
    using T = decltype(zero);
    return request.op.starts_with("log_") ? prepare_as<T, true>(request) : prepare_as<T, false>(request);
  });
}

const RegisterCuda registered[] = {{"softmax", plan, prepare},
                                   {"log_softmax", plan, prepare},
                                   {"softmax_backward", plan, prepare},
                                   {"log_softmax_backward", plan, prepare}};

}  // namespace
}  // namespace trainctl::cuda
