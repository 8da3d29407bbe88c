// conv2d and conv2d_backward_data of small images, the latter for a stride of 1.
#include "kernels/cuda/conv2d_small.cuh"
#include "kernels/cuda/curves.cuh"

namespace trainctl::cuda::small {
namespace {

/// Filters as shared[tap][output], outputs filled up with zeros to fours, read in their order in memory. `mirrored`: w
/// is (channels, outputs, KH, KW) and turned by half a turn.
__device__ void load_filters(const Geometry& g, const float* __restrict__ w, bool mirrored, float* shared) {
  const int area = g.kernel_height * g.kernel_width, stride = 4 * g.quad_stride;
#pragma unroll 4
  for (int i = threadIdx.x; i < g.outputs * g.taps(); i += threads) {
    std::uint32_t rest = i;
    const std::uint32_t c = mirrored ? g.by_areas.split(rest) : 0;
    const std::uint32_t o = mirrored ? g.by_area.split(rest) : g.by_taps.split(rest);
    const std::uint32_t tap = mirrored ? c * area + (area - 1 - rest) : rest;
    shared[tap * stride + o] = w[i];
  }
  for (int tap = threadIdx.x; tap < g.taps(); tap += threads) {
    for (int o = g.outputs; o < 4 * g.quads; ++o) shared[tap * stride + o] = 0.0f;
  }
}

/// y[o, p] = f(bias[o] + sum[o, p] + sum over taps of image * filter), or with `saved` the sum times f'(saved), for one
/// sample a block. K is the size of a square filter known when compiled, or 0; each thread computes `Pixels` pixels of
/// four outputs.
template <typename T, int K, int Pixels>
__global__ void __launch_bounds__(threads)
    forward_kernel(const __grid_constant__ Geometry g, const T* x, const float* w, const float* bias, const T* sum,
                   const T* saved, T* y, bool mirrored, Activation f) {
  extern __shared__ float4 shared_memory[];
  float* image = reinterpret_cast<float*>(shared_memory);
  float* filters = image + g.image_floats();
  const int n = blockIdx.x;
  load_image(g, x + static_cast<std::int64_t>(n) * g.channels * g.height * g.width, image);
  load_filters(g, w, mirrored, filters);
  __syncthreads();

  const int kernel_height = K ? K : g.kernel_height, kernel_width = K ? K : g.kernel_width;
  const int pixels = g.pixels(), lane = threadIdx.x % 32;
  const int groups = (pixels + 32 * Pixels - 1) / (32 * Pixels);
  const std::int64_t first_output = static_cast<std::int64_t>(n) * g.outputs * pixels;
  for (int item = threadIdx.x / 32; item < groups * g.quads; item += warps) {
    const int quad = item / groups, group = item - quad * groups;
    int base[Pixels];
    float acc[Pixels][4] = {};
    for (int k = 0; k < Pixels; ++k) {
      const int p = min((group * Pixels + k) * 32 + lane, pixels - 1);
      base[k] = p / g.out_width * g.stride_height * g.padded_width + p % g.out_width * g.stride_width;
    }
    const float4* filter = reinterpret_cast<const float4*>(filters) + quad;
    for (int c = 0; c < g.channels; ++c) {
      const float* channel = image + c * g.padded_height * g.padded_width;
#pragma unroll
      for (int r = 0; r < kernel_height; ++r) {
#pragma unroll
        for (int s = 0; s < kernel_width; ++s) {
          const float4 b = *filter;
          filter += g.quad_stride;
          const int offset = r * g.dilation_height * g.padded_width + s * g.dilation_width;
#pragma unroll
          for (int k = 0; k < Pixels; ++k) {
            const float a = channel[base[k] + offset];
            acc[k][0] += a * b.x;
            acc[k][1] += a * b.y;
            acc[k][2] += a * b.z;
            acc[k][3] += a * b.w;
          }
        }
      }
    }
    for (int k = 0; k < Pixels; ++k) {
      const int p = (group * Pixels + k) * 32 + lane;
      if (p >= pixels) continue;
      for (int j = 0; j < 4; ++j) {
        const int o = 4 * quad + j;
        if (o >= g.outputs) continue;
        const std::int64_t at = first_output + static_cast<std::int64_t>(o) * pixels + p;
        float value = acc[k][j];
        if (bias) value += bias[o];
        if (sum) value += static_cast<float>(sum[at]);
        y[at] =
            static_cast<T>(saved ? value * short_curve_slope(f, static_cast<float>(saved[at])) : short_curve(f, value));
      }
    }
  }
}

/// The data's gradient of a convolution of stride 1 as a convolution of dy.
Geometry mirrored(const Geometry& forward) {
  Geometry g = forward;
  std::swap(g.channels, g.outputs);
  std::swap(g.height, g.out_height);
  std::swap(g.width, g.out_width);
  g.top = (g.kernel_height - 1) * g.dilation_height - forward.top;
  g.left = (g.kernel_width - 1) * g.dilation_width - forward.left;
  return g;
}

std::int64_t forward_floats(const Geometry& g) {
  return g.image_floats() + std::int64_t{g.taps()} * 4 * g.quad_stride;
}

bool is_forward(const KernelRequest& request) {
  return request.op == "conv2d";
}

/// The request as a convolution that the kernel computes, if it is one.
std::optional<Geometry> geometry_of(const KernelRequest& request) {
  if (!fits(request)) return std::nullopt;
  const auto& conv = as<Conv2dAttributes>(*request.attributes);
  const Shape &first = request.inputs[0]->shape, &w = request.inputs[1]->shape, &result = request.outputs[0].shape;
  if (!is_forward(request) && conv.stride != std::array<std::int64_t, 2>{1, 1}) return std::nullopt;
  Geometry g = is_forward(request) ? geometry(conv, first, w, result) : mirrored(geometry(conv, result, w, first));
  if (!finish(g)) return std::nullopt;
  return fits(g, forward_floats(g)) ? std::optional(g) : std::nullopt;
}

std::optional<KernelPlan> plan(const KernelRequest& request) {
  return geometry_of(request) ? std::optional(KernelPlan::row_major(request, "cuda:small")) : std::nullopt;
}

template <typename T, int K, int Pixels>
std::unique_ptr<Launch> forward_launch(const KernelRequest& request, const Geometry& g, bool turned) {
  const std::size_t shared = sizeof(float) * forward_floats(g);
  allow_shared<forward_kernel<T, K, Pixels>, most_shared_bytes>();
  const bool has_bias = !turned && request.has(2), has_sum = !turned && request.has(3);
  const bool masked = turned && request.has(2);
  const Activation f = as<Conv2dAttributes>(*request.attributes).activation;
  return make_launch([=](const LaunchArguments& a) {
    forward_kernel<T, K, Pixels><<<g.samples, threads, shared, stream_of(a)>>>(
        g, in<T>(a, 0), in<float>(a, 1), has_bias ? in<float>(a, 2) : nullptr, has_sum ? in<T>(a, 3) : nullptr,
        masked ? in<T>(a, 2) : nullptr, out<T>(a, 0), turned, f);
  });
}

/// With as many pixels a thread as leave work for all warps: the more, the fewer reads a product needs.
template <typename T, int K>
std::unique_ptr<Launch> square_launch(const KernelRequest& request, const Geometry& g, bool turned) {
  const auto fills = [&](int pixels) { return (g.pixels() + 32 * pixels - 1) / (32 * pixels) * g.quads >= warps; };
  if (fills(4)) return forward_launch<T, K, 4>(request, g, turned);
  return fills(2) ? forward_launch<T, K, 2>(request, g, turned) : forward_launch<T, K, 1>(request, g, turned);
}

template <typename T>
std::unique_ptr<Launch> prepare_forward(const KernelRequest& request, const Geometry& g, bool turned) {
  const bool square = g.kernel_height == g.kernel_width;
  if (square && g.kernel_height == 5) return square_launch<T, 5>(request, g, turned);
  if (square && g.kernel_height == 3) return square_launch<T, 3>(request, g, turned);
  return forward_launch<T, 0, 2>(request, g, turned);
}

std::unique_ptr<Launch> prepare(const KernelRequest& request, const KernelPlan&) {
  const Geometry g = *geometry_of(request);
  return with_float(request.inputs[0]->dtype,
                    [&](auto zero) { return prepare_forward<decltype(zero)>(request, g, !is_forward(request)); });
}

const RegisterCuda registered[] = {
    {"conv2d", plan, prepare, priority::specialised, "small"},
    {"conv2d_backward_data", plan, prepare, priority::specialised, "small"},
};

}  // namespace
}  // namespace trainctl::cuda::small
