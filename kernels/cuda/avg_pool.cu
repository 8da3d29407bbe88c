// avg_pool2d and its gradient. One launch each.
#include "kernels/cuda/pool.cuh"
#include "kernels/cuda/reduce.cuh"

namespace trainctl::cuda {
namespace {

/// By how many elements a window's sum is divided.
__device__ float divisor(const Pool& pool, const Window& w) {
  if (!pool.count_include_pad) return static_cast<float>((w.end_row - w.first_row) * (w.end_column - w.first_column));
  const int rows = min(w.top + pool.kernel_height, pool.height + pool.pad_height) - w.top;
  const int columns = min(w.left + pool.kernel_width, pool.width + pool.pad_width) - w.left;
  return static_cast<float>(rows * columns);
}

template <typename T, int V>
__global__ void avg_pool_kernel(const __grid_constant__ Pool pool, const T* x, T* y) {
  each_item(pool, [&](std::uint32_t item) {
    const Pixel p = pixel_of(pool, item);
    const Window w = window_at(pool, p.row, p.column);
    float sum[V] = {};
    for (int r = w.first_row; r < w.end_row; ++r) {
#pragma unroll 4
      for (int s = w.first_column; s < w.end_column; ++s) {
        const auto values = Packed<T, V>::load(x + input_pack(pool, p, r, s) * V);
#pragma unroll
        for (int k = 0; k < V; ++k) sum[k] += values[k];
      }
    }
    const float elements = divisor(pool, w);
#pragma unroll
    for (int k = 0; k < V; ++k) sum[k] /= elements;
    Packed<T, V>::of(sum).store(y + static_cast<std::int64_t>(item) * V);
  });
}

/// In planes, a warp for each window: for large ones.
template <typename T>
__global__ void avg_pool_warp_kernel(const __grid_constant__ Pool pool, const T* x, T* y) {
  const int lane = threadIdx.x % 32;
  const std::uint32_t warps = gridDim.x * blockDim.x / 32;
  for (std::uint32_t item = (blockIdx.x * blockDim.x + threadIdx.x) / 32; item < pool.items; item += warps) {
    const Pixel p = pixel_of(pool, item);
    const Window w = window_at(pool, p.row, p.column);
    const int columns = w.end_column - w.first_column, count = (w.end_row - w.first_row) * columns;
    float sum = 0.0f;
#pragma unroll 4
    for (int k = lane; k < count; k += 32)
      sum += static_cast<float>(x[input_pack(pool, p, w.first_row + k / columns, w.first_column + k % columns)]);
    sum = warp_sum(sum);
    if (lane == 0) y[item] = static_cast<T>(sum / divisor(pool, w));
  }
}

/// With channels last, a block for each pixel of y and `width` packs of channels (a power of two up to 32): for large
/// windows. The block's other threads share the window's positions.
template <typename T, int V>
__global__ void __launch_bounds__(pool_threads)
    avg_pool_block_kernel(const __grid_constant__ Pool pool, int width, int tiles, const T* x, T* y) {
  __shared__ float sums[pool_threads][V];
  const std::uint32_t pixel = blockIdx.x / tiles;
  const int tile = static_cast<int>(blockIdx.x) % tiles, t = threadIdx.x, parts = pool_threads / width;
  Pixel p = pixel_of(pool, pixel * static_cast<std::uint32_t>(pool.lanes));
  p.lane = tile * width + t % width;
  const Window w = window_at(pool, p.row, p.column);
  const int columns = w.end_column - w.first_column;
  const int count = p.lane < pool.lanes ? (w.end_row - w.first_row) * columns : 0;
  float sum[V] = {};
#pragma unroll 4
  for (int i = t / width; i < count; i += parts) {
    const int r = w.first_row + i / columns, s = w.first_column + i % columns;
    const auto values = Packed<T, V>::load(x + input_pack(pool, p, r, s) * V);
#pragma unroll
    for (int k = 0; k < V; ++k) sum[k] += values[k];
  }
#pragma unroll
  for (int k = 0; k < V; ++k) sums[t][k] = sum[k];
  __syncthreads();
  // Thread t now has channel t of the tile, which is element t % V of pack t / V.
  const int channel = tile * width * V + t, channels = pool.lanes * V;
  if (t >= width * V || channel >= channels) return;
  float total = 0.0f;
  for (int part = 0; part < parts; ++part) total += sums[part * width + t / V][t % V];
  y[static_cast<std::int64_t>(pixel) * channels + channel] = static_cast<T>(total / divisor(pool, w));
}

/// Items are packs of dx: each takes its share of dy from the windows over it, in their order.
template <typename T, int V>
__global__ void avg_pool_backward_kernel(const __grid_constant__ Pool pool, const T* dy, T* dx) {
  each_item(pool, [&](std::uint32_t item) {
    const Pixel p = pixel_of(pool, item);
    const Windows rows = windows_over_row(pool, p.row), columns = windows_over_column(pool, p.column);
    float sum[V] = {};
    for (int i = rows.first; i < rows.end; ++i) {
      for (int j = columns.first; j < columns.end; ++j) {
        const auto gradient = Packed<T, V>::load(dy + output_pack(pool, p, i, j) * V);
        const float elements = divisor(pool, window_at(pool, i, j));
#pragma unroll
        for (int k = 0; k < V; ++k) sum[k] += gradient[k] / elements;
      }
    }
    Packed<T, V>::of(sum).store(dx + static_cast<std::int64_t>(item) * V);
  });
}

struct Problem {
  Pool2dAttributes attributes;
  Shape x, y;
  bool planes, backward;

  Problem(const KernelRequest& request, const Layout& layout)
      : attributes(as<Pool2dAttributes>(*request.attributes)), backward(request.op == "avg_pool2d_backward") {
    x = backward ? request.outputs[0].shape : request.inputs[0]->shape;
    y = backward ? request.inputs[0]->shape : request.outputs[0].shape;
    planes = in_planes(x, layout);
  }
};

std::optional<KernelPlan> plan(const KernelRequest& request) {
  if (!is_float(request.inputs[0]->dtype) || !all_of_type(request, request.inputs[0]->dtype)) return std::nullopt;
  // A gradient lies as the image did whose gradient it is: behind a pool of the whole image nothing else tells.
  const bool as_forward = request.op == "avg_pool2d_backward" && request.forward;
  const Layout given = as_forward ? request.forward->inputs[0] : given_layout(request, 0);
  const Layout layout = channels_last(given) ? given : Layout();
  const Problem problem(request, layout);
  if (!pool_fits(problem.x, problem.y)) return std::nullopt;
  KernelPlan plan = KernelPlan::row_major(request, "cuda");
  plan.inputs[0] = plan.outputs[0] = layout;
  return plan;
}

/// Windows that one thread alone goes through.
constexpr std::int64_t small_window = 32;

template <typename T>
void enqueue(const Problem& problem, const T* from, T* to, cudaStream_t stream) {
  const bool large = problem.attributes.kernel[0] * problem.attributes.kernel[1] > small_window;
  with_lanes<T, T>(problem.x, problem.planes, address(from) | address(to), [&](auto lanes) {
    const Pool pool = make_pool(problem.attributes, problem.x, problem.y, problem.planes, lanes, problem.backward);
    if (problem.backward) {
      avg_pool_backward_kernel<T, lanes><<<grid(pool.items, pool_threads), pool_threads, 0, stream>>>(pool, from, to);
    } else if (!large) {
      avg_pool_kernel<T, lanes><<<grid(pool.items, pool_threads), pool_threads, 0, stream>>>(pool, from, to);
    } else if (problem.planes) {
      avg_pool_warp_kernel<T><<<grid(pool.items, pool_threads / 32), pool_threads, 0, stream>>>(pool, from, to);
    } else {
      int width = 1;
      while (width < 32 && width < pool.lanes) width *= 2;
      const int tiles = (pool.lanes + width - 1) / width;
      const auto blocks = static_cast<unsigned>(pool.items / pool.lanes * tiles);
      avg_pool_block_kernel<T, lanes><<<blocks, pool_threads, 0, stream>>>(pool, width, tiles, from, to);
    }
  });
}

std::unique_ptr<Launch> prepare(const KernelRequest& request, const KernelPlan& plan) {
  const Problem problem(request, plan.inputs[0]);
  return with_float(request.inputs[0]->dtype, [&](auto zero) -> std::unique_ptr<Launch> {
    using T = decltype(zero);
    return make_launch([=](const LaunchArguments& a) { enqueue(problem, in<T>(a, 0), out<T>(a, 0), stream_of(a)); });
  });
}

const RegisterCuda registered[] = {{"avg_pool2d", plan, prepare}, {"avg_pool2d_backward", plan, prepare}};

}  // namespace
}  // namespace trainctl::cuda
