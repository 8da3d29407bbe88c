// max_pool2d and its gradient. One launch each.
#include <climits>

#include "kernels/cuda/curves.cuh"
#include "kernels/cuda/pool.cuh"

namespace trainctl::cuda {
namespace {

/// Whether a value takes the place of the best so far: a greater one, or the first NaN.
__device__ bool beats(float value, float best) {
  return value > best || (value != value && best == best);
}

template <typename T, int V, typename Index>
__global__ void max_pool_kernel(const __grid_constant__ Pool pool, const T* x, T* y, Index* index) {
  each_item(pool, [&](std::uint32_t item) {
    const Pixel p = pixel_of(pool, item);
    const Window w = window_at(pool, p.row, p.column);
    float best[V];
    int at[V];
#pragma unroll
    for (int k = 0; k < V; ++k) at[k] = -1;
    for (int r = w.first_row; r < w.end_row; ++r) {
      for (int s = w.first_column; s < w.end_column; ++s) {
        const auto values = Packed<T, V>::load(x + input_pack(pool, p, r, s) * V);
        const int position = (r - w.top) * pool.kernel_width + (s - w.left);
#pragma unroll
        for (int k = 0; k < V; ++k) {
          if (at[k] >= 0 && !beats(values[k], best[k])) continue;
          best[k] = values[k];
          at[k] = position;
        }
      }
    }
    Pack<Index, V> positions;
#pragma unroll
    for (int k = 0; k < V; ++k) positions.at[k] = static_cast<Index>(at[k]);
    Packed<T, V>::of(best).store(y + static_cast<std::int64_t>(item) * V);
    *reinterpret_cast<Pack<Index, V>*>(index + static_cast<std::int64_t>(item) * V) = positions;
  });
}

/// In planes, a warp for each window: for large ones.
template <typename T, typename Index>
__global__ void max_pool_warp_kernel(const __grid_constant__ Pool pool, const T* x, T* y, Index* index) {
  const int lane = threadIdx.x % 32;
  const std::uint32_t warps = gridDim.x * blockDim.x / 32;
  for (std::uint32_t item = (blockIdx.x * blockDim.x + threadIdx.x) / 32; item < pool.items; item += warps) {
    const Pixel p = pixel_of(pool, item);
    const Window w = window_at(pool, p.row, p.column);
    const int columns = w.end_column - w.first_column, count = (w.end_row - w.first_row) * columns;
    float best = 0.0f;
    int at = INT_MAX;  // nothing yet
    for (int k = lane; k < count; k += 32) {
      const int r = w.first_row + k / columns, s = w.first_column + k % columns;
      const float value = static_cast<float>(x[input_pack(pool, p, r, s)]);
      if (at != INT_MAX && !beats(value, best)) continue;
      best = value;
      at = (r - w.top) * pool.kernel_width + (s - w.left);
    }
    for (int mask = 16; mask > 0; mask /= 2) {
      const float other = __shfl_xor_sync(0xFFFFFFFFu, best, mask);
      const int its = __shfl_xor_sync(0xFFFFFFFFu, at, mask);
      if (its == INT_MAX) continue;
      const bool equal = !beats(other, best) && !beats(best, other);
      if (at == INT_MAX || beats(other, best) || (equal && its < at)) {
        best = other;
        at = its;
      }
    }
    if (lane == 0) {
      y[item] = static_cast<T>(best);
      index[item] = static_cast<Index>(at);
    }
  }
}

/// In planes of even height and width, windows of 2x2 side by side. `pairs` is the number of outputs in a row.
template <typename T>
__global__ void max_pool_pairs_kernel(std::uint32_t items, const __grid_constant__ Divider pairs, const T* x, T* y,
                                      std::uint8_t* index) {
  for (std::uint32_t item = blockIdx.x * blockDim.x + threadIdx.x; item < items; item += gridDim.x * blockDim.x) {
    std::uint32_t column = item;
    const std::int64_t row = pairs.split(column), width = 2 * static_cast<std::int64_t>(pairs.divisor());
    const T* top = x + 2 * row * width + 2 * column;
    const auto first = Packed<T, 2>::load(top), second = Packed<T, 2>::load(top + width);
    const float values[4] = {first[0], first[1], second[0], second[1]};
    float best = values[0];
    int at = 0;
#pragma unroll
    for (int k = 1; k < 4; ++k) {
      if (!beats(values[k], best)) continue;
      best = values[k];
      at = k;
    }
    y[item] = static_cast<T>(best);
    index[item] = static_cast<std::uint8_t>(at);
  }
}

/// What dx is written to: `saved` lies like it, or is null where there is no activation to take the slope of. The two
/// may be one: a thread reads what it alone writes.
template <typename T>
struct Gradient {
  T* dx;
  const T* saved;
  Activation activation;
};

/// dx = values f'(saved) from element `at` on.
template <typename T, int V>
__device__ void store(const Gradient<T>& gradient, float (&values)[V], std::int64_t at) {
  if (gradient.saved) {
    const auto saved = Packed<T, V>::load(gradient.saved + at);
#pragma unroll
    for (int k = 0; k < V; ++k) values[k] *= short_curve_slope(gradient.activation, saved[k]);
  }
  Packed<T, V>::of(values).store(gradient.dx + at);
}

template <typename T>
__global__ void max_pool_pairs_backward_kernel(std::uint32_t items, const __grid_constant__ Divider pairs, const T* dy,
                                               const std::uint8_t* index,
                                               const __grid_constant__ Gradient<T> gradient) {
  for (std::uint32_t item = blockIdx.x * blockDim.x + threadIdx.x; item < items; item += gridDim.x * blockDim.x) {
    std::uint32_t column = item;
    const std::int64_t row = pairs.split(column), width = 2 * static_cast<std::int64_t>(pairs.divisor());
    const std::int64_t top = 2 * row * width + 2 * column;
    const float value = static_cast<float>(dy[item]);
    const int at = index[item];
    float first[2] = {at == 0 ? value : 0.0f, at == 1 ? value : 0.0f};
    float second[2] = {at == 2 ? value : 0.0f, at == 3 ? value : 0.0f};
    store(gradient, first, top);
    store(gradient, second, top + width);
  }
}

/// Items are packs of dx: each sums dy of the windows over it that name it, in the order of the windows.
template <typename T, int V, typename Index>
__global__ void max_pool_gather_kernel(const __grid_constant__ Pool pool, const T* dy, const Index* index,
                                       const __grid_constant__ Gradient<T> gradient) {
  each_item(pool, [&](std::uint32_t item) {
    const Pixel p = pixel_of(pool, item);
    const Windows rows = windows_over_row(pool, p.row), columns = windows_over_column(pool, p.column);
    float sum[V] = {};
    for (int i = rows.first; i < rows.end; ++i) {
      for (int j = columns.first; j < columns.end; ++j) {
        const std::int64_t at = output_pack(pool, p, i, j) * V;
        const auto named = *reinterpret_cast<const Pack<Index, V>*>(index + at);
        const auto values = Packed<T, V>::load(dy + at);
        const Window w = window_at(pool, i, j);
        const int position = (p.row - w.top) * pool.kernel_width + (p.column - w.left);
#pragma unroll
        for (int k = 0; k < V; ++k) {
          if (static_cast<int>(named.at[k]) == position) sum[k] += values[k];
        }
      }
    }
    store(gradient, sum, static_cast<std::int64_t>(item) * V);
  });
}

/// Items are packs of dy, for windows that do not overlap: each writes its window, and what lies between that and the
/// next ones or behind the last.
template <typename T, int V, typename Index>
__global__ void max_pool_apart_kernel(const __grid_constant__ Pool pool, const T* dy, const Index* index,
                                      const __grid_constant__ Gradient<T> gradient) {
  each_item(pool, [&](std::uint32_t item) {
    const Pixel p = pixel_of(pool, item);
    const Window w = window_at(pool, p.row, p.column);
    const int end_row = p.row + 1 == pool.out_height ? pool.height : w.top + pool.stride_height;
    const int end_column = p.column + 1 == pool.out_width ? pool.width : w.left + pool.stride_width;
    const std::int64_t at = static_cast<std::int64_t>(item) * V;
    const auto named = *reinterpret_cast<const Pack<Index, V>*>(index + at);
    const auto values = Packed<T, V>::load(dy + at);
    for (int r = w.first_row; r < end_row; ++r) {
      for (int s = w.first_column; s < end_column; ++s) {
        const bool inside = r < w.end_row && s < w.end_column;
        const int position = (r - w.top) * pool.kernel_width + (s - w.left);
        float result[V];
#pragma unroll
        for (int k = 0; k < V; ++k) result[k] = inside && static_cast<int>(named.at[k]) == position ? values[k] : 0.0f;
        store(gradient, result, input_pack(pool, p, r, s) * V);
      }
    }
  });
}

/// What is common to the two ops' launches.
struct Problem {
  Pool2dAttributes attributes;
  Shape x, y;
  bool planes;

  Problem(const KernelRequest& request, const Layout& layout) : attributes(as<Pool2dAttributes>(*request.attributes)) {
    const bool backward = request.op == "max_pool2d_backward";
    x = backward ? request.outputs[0].shape : request.inputs[0]->shape;
    y = backward ? request.inputs[0]->shape : request.outputs[0].shape;
    planes = in_planes(x, layout);
  }
  std::int64_t window() const { return attributes.kernel[0] * attributes.kernel[1]; }
  /// Whether the windows are 2x2, side by side, and cover planes.
  bool pairs() const {
    constexpr std::array<std::int64_t, 2> two{2, 2}, none{};
    return planes && !attributes.is_adaptive() && attributes.kernel == two && attributes.stride == two &&
           attributes.padding == none && x[2] % 2 == 0 && x[3] % 2 == 0;
  }
  /// Whether no two windows overlap and each has few elements to itself.
  bool apart() const {
    const auto& [kernel_height, kernel_width] = attributes.kernel;
    const auto& [stride_height, stride_width] = attributes.stride;
    return !attributes.is_adaptive() && stride_height >= kernel_height && stride_width >= kernel_width &&
           stride_height * stride_width <= 16;
  }
};

bool is_index(DType dtype) {
  return dtype == DType::u8 || dtype == DType::i32;
}

std::optional<KernelPlan> plan(const KernelRequest& request) {
  const bool backward = request.op == "max_pool2d_backward";
  const DType data = request.inputs[0]->dtype, index = backward ? request.inputs[1]->dtype : request.outputs[1].dtype;
  if (!is_float(data) || request.outputs[0].dtype != data || !is_index(index)) return std::nullopt;
  if (request.has(2) && request.inputs[2]->dtype != data) return std::nullopt;
  // The layout of the index decides: bytes are costly to reorder.
  const Layout given = given_layout(request, backward ? 1 : 0);
  const Layout layout = channels_last(given) ? given : Layout();
  const Problem problem(request, layout);
  if (!pool_fits(problem.x, problem.y)) return std::nullopt;
  KernelPlan plan = KernelPlan::row_major(request, "cuda");
  for (Layout& input : plan.inputs) input = layout;
  for (Layout& output : plan.outputs) output = layout;
  if (request.has(2)) plan.in_place = {{0, 2}};
  return plan;
}

template <typename T, typename Index>
std::unique_ptr<Launch> prepare_forward(const Problem& problem) {
  return make_launch([=](const LaunchArguments& a) {
    const T* x = in<T>(a, 0);
    T* y = out<T>(a, 0);
    Index* index = out<Index>(a, 1);
    const auto items = static_cast<std::uint32_t>(problem.y.elements());
    if constexpr (sizeof(Index) == 1) {
      if (problem.pairs() && address(x) % (2 * sizeof(T)) == 0) {
        max_pool_pairs_kernel<T>
            <<<grid(items, pool_threads), pool_threads, 0, stream_of(a)>>>(items, Divider(problem.y[3]), x, y, index);
        return;
      }
    }
    if (problem.planes && problem.window() >= 64) {
      const Pool pool = make_pool(problem.attributes, problem.x, problem.y, true, 1, false);
      const int blocks = grid(items, pool_threads / 32);
      max_pool_warp_kernel<T, Index><<<blocks, pool_threads, 0, stream_of(a)>>>(pool, x, y, index);
      return;
    }
    const std::uintptr_t addresses = address(x) | address(y) | address(index);
    with_lanes<T, Index>(problem.x, problem.planes, addresses, [&](auto lanes) {
      const Pool pool = make_pool(problem.attributes, problem.x, problem.y, problem.planes, lanes, false);
      const int blocks = grid(pool.items, pool_threads);
      max_pool_kernel<T, lanes, Index><<<blocks, pool_threads, 0, stream_of(a)>>>(pool, x, y, index);
    });
  });
}

template <typename T, typename Index>
std::unique_ptr<Launch> prepare_backward(const Problem& problem) {
  const Activation f = problem.attributes.activation;
  return make_launch([=](const LaunchArguments& a) {
    const T* dy = in<T>(a, 0);
    const Index* index = in<Index>(a, 1);
    const Gradient<T> gradient{out<T>(a, 0), f ? in<T>(a, 2) : nullptr, f};
    const std::uintptr_t to = address(gradient.dx) | address(gradient.saved);
    if constexpr (sizeof(Index) == 1) {
      if (problem.pairs() && to % (2 * sizeof(T)) == 0) {
        const auto items = static_cast<std::uint32_t>(problem.y.elements());
        max_pool_pairs_backward_kernel<T><<<grid(items, pool_threads), pool_threads, 0, stream_of(a)>>>(
            items, Divider(problem.y[3]), dy, index, gradient);
        return;
      }
    }
    const std::uintptr_t addresses = address(dy) | address(index) | to;
    with_lanes<T, Index>(problem.x, problem.planes, addresses, [&](auto lanes) {
      const bool apart = problem.apart();
      const Pool pool = make_pool(problem.attributes, problem.x, problem.y, problem.planes, lanes, !apart);
      const int blocks = grid(pool.items, pool_threads);
      if (apart) {
        max_pool_apart_kernel<T, lanes, Index><<<blocks, pool_threads, 0, stream_of(a)>>>(pool, dy, index, gradient);
      } else {
        max_pool_gather_kernel<T, lanes, Index><<<blocks, pool_threads, 0, stream_of(a)>>>(pool, dy, index, gradient);
      }
    });
  });
}

template <typename Index>
std::unique_ptr<Launch> prepare_as(const KernelRequest& request, const KernelPlan& plan) {
  const Problem problem(request, plan.inputs[0]);
  return with_float(request.inputs[0]->dtype, [&](auto zero) {
    using T = decltype(zero);
    return request.op == "max_pool2d" ? prepare_forward<T, Index>(problem) : prepare_backward<T, Index>(problem);
  });
}

std::unique_ptr<Launch> prepare(const KernelRequest& request, const KernelPlan& plan) {
  const DType index = request.op == "max_pool2d" ? request.outputs[1].dtype : request.inputs[1]->dtype;
  return index == DType::u8 ? prepare_as<std::uint8_t>(request, plan) : prepare_as<std::int32_t>(request, plan);
}

const RegisterCuda registered[] = {{"max_pool2d", plan, prepare}, {"max_pool2d_backward", plan, prepare}};

}  // namespace
}  // namespace trainctl::cuda
