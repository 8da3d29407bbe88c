// conv2d and conv2d_backward_data straight from their definition: for every stride, padding, dilation and number of
// groups, in either layout of images, and quick where there are few taps. One launch.
#include "kernels/cuda/conv2d_direct.cuh"
#include "kernels/cuda/curves.cuh"

namespace trainctl::cuda::direct {
namespace {

constexpr int threads = 128;
constexpr int table_taps = 64;  // taps that are looked up in shared memory, and summed apart, at a time

/// y, one thread a position and `tile` filters.
template <typename T, int tile>
__global__ void forward_kernel(const T* x, const float* w, const float* b, const T* sum, T* y, const Geometry g,
                               const Activation f) {
  __shared__ Tap taps[table_taps];
  __shared__ float weights[table_taps][tile];
  const int filter = static_cast<int>(blockIdx.y) * tile;
  const int group = filter / g.filters;
  const unsigned positions = static_cast<unsigned>(g.out.height) * g.out.width;
  const unsigned position = blockIdx.x * threads + threadIdx.x;
  const bool inside = position < g.batch * positions;
  const unsigned n = position / positions, at = position % positions;
  const int i = static_cast<int>(at / g.out.width), j = static_cast<int>(at % g.out.width);
  const int row = i * g.stride.height - g.top, column = j * g.stride.width - g.left;
  // May point into the padding, where nothing is read.
  const T* from = x + n * g.x.n + static_cast<std::int64_t>(group * g.channels) * g.x.c +
                  static_cast<std::int64_t>(row) * g.x.h + static_cast<std::int64_t>(column) * g.x.w;
  const int kernel = g.kernel.height * g.kernel.width;
  const int total = g.channels * kernel;
  float result[tile] = {};
  for (int first = 0; first < total; first += table_taps) {
    const int count = min(table_taps, total - first);
    __syncthreads();
    for (int t = threadIdx.x; t < count; t += threads) {
      const int tap = first + t, channel = tap / kernel, r = tap % kernel / g.kernel.width, s = tap % g.kernel.width;
      const int down = r * g.dilation.height, right = s * g.dilation.width;
      taps[t] = {down, right, channel * g.x.c + down * g.x.h + right * g.x.w};
#pragma unroll
      for (int k = 0; k < tile; ++k) weights[t][k] = w[static_cast<std::int64_t>(filter + k) * total + tap];
    }
    __syncthreads();
    if (!inside) continue;
    float part[tile] = {};
    for (int t = 0; t < count; ++t) {
      const Tap tap = taps[t];
      if (static_cast<unsigned>(row + tap.row) >= static_cast<unsigned>(g.in.height) ||
          static_cast<unsigned>(column + tap.column) >= static_cast<unsigned>(g.in.width))
        continue;
      const float value = static_cast<float>(from[tap.offset]);
#pragma unroll
      for (int k = 0; k < tile; ++k) part[k] += value * weights[t][k];
    }
#pragma unroll
    for (int k = 0; k < tile; ++k) result[k] += part[k];
  }
  if (!inside) return;
  const std::int64_t to = n * g.y.n + static_cast<std::int64_t>(filter) * g.y.c + static_cast<std::int64_t>(i) * g.y.h +
                          static_cast<std::int64_t>(j) * g.y.w;
#pragma unroll
  for (int k = 0; k < tile; ++k) {
    const std::int64_t out = to + static_cast<std::int64_t>(k) * g.y.c;
    float value = result[k];
    if (b) value += b[filter + k];
    if (sum) value += static_cast<float>(sum[out]);
    y[out] = static_cast<T>(curve(f, value));
  }
}

/// dx f'(saved), or just dx where saved is null, one thread a position and `tile` channels.
template <typename T, int tile>
__global__ void backward_data_kernel(const T* dy, const float* w, const T* saved, T* dx, const Geometry g,
                                     const Activation f) {
  __shared__ Tap taps[table_taps];
  __shared__ float weights[table_taps][tile];
  const int channel = static_cast<int>(blockIdx.y) * tile;  // of all groups
  const int group = channel / g.channels;
  const int own = channel - group * g.channels;  // the same in its group
  const unsigned positions = static_cast<unsigned>(g.in.height) * g.in.width;
  const unsigned position = blockIdx.x * threads + threadIdx.x;
  const bool inside = position < g.batch * positions;
  const unsigned n = position / positions, at = position % positions;
  const int i = static_cast<int>(at / g.in.width), j = static_cast<int>(at % g.in.width);
  const T* from = dy + n * g.y.n + static_cast<std::int64_t>(group * g.filters) * g.y.c;
  const int kernel = g.kernel.height * g.kernel.width;
  const int total = g.filters * kernel;
  float result[tile] = {};
  for (int first = 0; first < total; first += table_taps) {
    const int count = min(table_taps, total - first);
    __syncthreads();
    for (int t = threadIdx.x; t < count; t += threads) {
      const int tap = first + t, filter = tap / kernel, r = tap % kernel / g.kernel.width, s = tap % g.kernel.width;
      taps[t] = {r * g.dilation.height, s * g.dilation.width, filter * g.y.c};
      const float* row =
          w + (static_cast<std::int64_t>(group * g.filters + filter) * g.channels + own) * kernel + tap % kernel;
#pragma unroll
      for (int k = 0; k < tile; ++k) weights[t][k] = row[static_cast<std::int64_t>(k) * kernel];
    }
    __syncthreads();
    if (!inside) continue;
    float part[tile] = {};
    for (int t = 0; t < count; ++t) {
      const Tap tap = taps[t];
      // The output whose window has this element at the tap, if there is one.
      const int down = i + g.top - tap.row, right = j + g.left - tap.column;
      if (down < 0 || right < 0) continue;
      int row = down, column = right;
      if (g.stride.height != 1) {
        row = down / g.stride.height;
        if (row * g.stride.height != down) continue;
      }
      if (g.stride.width != 1) {
        column = right / g.stride.width;
        if (column * g.stride.width != right) continue;
      }
      if (row >= g.out.height || column >= g.out.width) continue;
      const float value = static_cast<float>(from[tap.offset + row * g.y.h + column * g.y.w]);
#pragma unroll
      for (int k = 0; k < tile; ++k) part[k] += value * weights[t][k];
    }
#pragma unroll
    for (int k = 0; k < tile; ++k) result[k] += part[k];
  }
  if (!inside) return;
  const std::int64_t to = n * g.x.n + static_cast<std::int64_t>(channel) * g.x.c +
                          static_cast<std::int64_t>(i) * g.x.h + static_cast<std::int64_t>(j) * g.x.w;
#pragma unroll
  for (int k = 0; k < tile; ++k) {
    const std::int64_t out = to + static_cast<std::int64_t>(k) * g.x.c;
    float value = result[k];
    if (saved) value *= curve_slope(f, static_cast<float>(saved[out]));
    dx[out] = static_cast<T>(value);
  }
}

std::optional<KernelPlan> plan_image(const KernelRequest& request) {
  if (!fits(request)) return std::nullopt;
  KernelPlan plan = KernelPlan::row_major(request, "direct");
  plan.inputs[0] = plan.outputs[0] = image_layout(request, 0);
  const int beside = request.op == "conv2d" ? 3 : 2;  // what is read just where the output is written: sum or saved
  if (request.has(beside)) {
    plan.inputs[beside] = plan.outputs[0];
    plan.in_place.emplace_back(0, beside);
  }
  return plan;
}

std::unique_ptr<Launch> prepare_forward(const KernelRequest& request, const KernelPlan& plan) {
  const Geometry g = geometry(request, plan.inputs[0], plan.outputs[0]);
  const Activation f = as<Conv2dAttributes>(*request.attributes).activation;
  const bool has_bias = request.has(2), has_sum = request.has(3);
  const Shape y = request.outputs[0].shape;
  const int tile = tile_of(g.filters, 8);
  const dim3 blocks(static_cast<unsigned>((y[0] * y[2] * y[3] + threads - 1) / threads),
                    static_cast<unsigned>(y[1] / tile));
  return with_float(request.outputs[0].dtype, [&](auto zero) -> std::unique_ptr<Launch> {
    using T = decltype(zero);
    return make_launch([=](const LaunchArguments& a) {
      if (blocks.x == 0 || blocks.y == 0) return;
      with_tile(tile, [&](auto size) {
        forward_kernel<T, size()>
            <<<blocks, threads, 0, stream_of(a)>>>(in<T>(a, 0), in<float>(a, 1), has_bias ? in<float>(a, 2) : nullptr,
                                                   has_sum ? in<T>(a, 3) : nullptr, out<T>(a, 0), g, f);
      });
    });
  });
}

std::unique_ptr<Launch> prepare_backward_data(const KernelRequest& request, const KernelPlan& plan) {
  const Geometry g = geometry(request, plan.outputs[0], plan.inputs[0]);
  const Activation f = as<Conv2dAttributes>(*request.attributes).activation;
  const bool has_saved = request.has(2);
  const Shape x = request.outputs[0].shape;
  const int tile = tile_of(g.channels, 8);
  const dim3 blocks(static_cast<unsigned>((x[0] * x[2] * x[3] + threads - 1) / threads),
                    static_cast<unsigned>(x[1] / tile));
  return with_float(request.outputs[0].dtype, [&](auto zero) -> std::unique_ptr<Launch> {
    using T = decltype(zero);
    return make_launch([=](const LaunchArguments& a) {
      if (blocks.x == 0 || blocks.y == 0) return;
      with_tile(tile, [&](auto size) {
        backward_data_kernel<T, size()><<<blocks, threads, 0, stream_of(a)>>>(
            in<T>(a, 0), in<float>(a, 1), has_saved ? in<T>(a, 2) : nullptr, out<T>(a, 0), g, f);
      });
    });
  });
}

const RegisterCuda registered[] = {
    {"conv2d", plan_image, prepare_forward, priority::general, "direct"},
    {"conv2d_backward_data", plan_image, prepare_backward_data, priority::general, "direct"}};

}  // namespace
}  // namespace trainctl::cuda::direct
