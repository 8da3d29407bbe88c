// What the convolutions of small images share: conv2d_small.cu and conv2d_small_weights.cu. Images and filters are so
// small that a block holds a whole sample in shared memory: the first layers of small nets, where a library's kernels
// spend their time starting.
//
// One block computes one sample (or, for the weights' gradient, one sample after another). Lanes of a warp are
// neighbouring pixels (or filter taps), each thread holds four channels, so that the other operand of a product is read
// as one broadcast float4.
#pragma once

#include <algorithm>

#include "kernels/cuda/divider.cuh"
#include "kernels/cuda/runtime.h"
#include "ops/conv2d.h"

namespace trainctl::cuda::small {

constexpr int threads = 256;
constexpr int warps = threads / 32;

/// A convolution of `channels` images of height x width to `outputs` images of out_height x out_width. For the data's
/// gradient the roles of the operands are swapped: the image is dy, and filters are read transposed and mirrored.
struct Geometry {
  int samples, channels, height, width;
  int outputs, out_height, out_width;
  int kernel_height, kernel_width, stride_height, stride_width, dilation_height, dilation_width;
  int top, left;
  int padded_height, padded_width;  ///< of the image in shared memory
  int quads;                        ///< output channels in fours
  int quad_stride;                  ///< fours from a row of quads to the next: odd, so that rows begin in several banks
  /// By padded_height * padded_width, padded_width, taps, the area of a filter, that of all outputs, pixels.
  Divider by_padded, by_padded_width, by_taps, by_area, by_areas, by_pixels;

  __host__ __device__ int taps() const { return channels * kernel_height * kernel_width; }
  __host__ __device__ int image_floats() const { return (channels * padded_height * padded_width + 3) / 4 * 4; }
  __host__ __device__ int pixels() const { return out_height * out_width; }
};

/// The image of a sample, zero around it, as floats in shared memory.
template <typename T>
__device__ void load_image(const Geometry& g, const T* __restrict__ x, float* shared) {
  const int padded = g.padded_height * g.padded_width;
#pragma unroll 4
  for (int i = threadIdx.x; i < g.channels * padded; i += threads) {
    std::uint32_t rest = i;
    const auto c = static_cast<int>(g.by_padded.split(rest));
    const int row = static_cast<int>(g.by_padded_width.split(rest)) - g.top, column = static_cast<int>(rest) - g.left;
    const bool inside = row >= 0 && row < g.height && column >= 0 && column < g.width;
    shared[i] = inside ? static_cast<float>(x[(c * g.height + row) * g.width + column]) : 0.0f;
  }
}

inline Geometry geometry(const Conv2dAttributes& conv, const Shape& x, const Shape& w, const Shape& y) {
  Geometry g{};
  g.samples = static_cast<int>(x[0]);
  g.channels = static_cast<int>(x[1]);
  g.height = static_cast<int>(x[2]);
  g.width = static_cast<int>(x[3]);
  g.outputs = static_cast<int>(w[0]);
  g.out_height = static_cast<int>(y[2]);
  g.out_width = static_cast<int>(y[3]);
  g.kernel_height = static_cast<int>(w[2]);
  g.kernel_width = static_cast<int>(w[3]);
  g.stride_height = static_cast<int>(conv.stride[0]);
  g.stride_width = static_cast<int>(conv.stride[1]);
  g.dilation_height = static_cast<int>(conv.dilation[0]);
  g.dilation_width = static_cast<int>(conv.dilation[1]);
  g.top = static_cast<int>(conv.padding[0]);
  g.left = static_cast<int>(conv.padding[1]);
  return g;
}

/// What follows from the rest: how much of the padded image the outputs look at. False if there is nothing to compute.
inline bool finish(Geometry& g) {
  if (g.samples <= 0 || g.pixels() <= 0 || g.taps() <= 0 || g.outputs <= 0) return false;
  g.padded_height = (g.out_height - 1) * g.stride_height + (g.kernel_height - 1) * g.dilation_height + 1;
  g.padded_width = (g.out_width - 1) * g.stride_width + (g.kernel_width - 1) * g.dilation_width + 1;
  g.quads = (g.outputs + 3) / 4;
  g.quad_stride = g.quads | 1;
  const int area = g.kernel_height * g.kernel_width;
  g.by_padded = Divider(g.padded_height * g.padded_width);
  g.by_padded_width = Divider(g.padded_width);
  g.by_taps = Divider(g.taps());
  g.by_area = Divider(area);
  g.by_areas = Divider(std::int64_t{g.outputs} * area);
  g.by_pixels = Divider(g.pixels());
  return true;
}

/// Whether the library has tensor cores for it and channels enough to fill them: its images then lie channels last, and
/// so do those of the layers around. What these kernels save would be lost by reordering images twice.
inline bool suits_tensor_cores(const KernelRequest& request) {
  constexpr std::int64_t enough = 32;
  if (request.inputs[0]->dtype != DType::bf16 && !request.tf32) return false;
  const Shape& output = request.outputs[0].shape;
  return std::max({request.inputs[0]->shape[1], request.inputs[1]->shape[1], output[1]}) >= enough;
}

/// Whether the request is one that these kernels may take, in what does not depend on the op.
inline bool fits(const KernelRequest& request) {
  if (as<Conv2dAttributes>(*request.attributes).groups != 1 || !is_float(request.inputs[0]->dtype)) return false;
  if (suits_tensor_cores(request)) return false;
  constexpr std::int64_t most = 1 << 14;
  return std::ranges::none_of(request.inputs, [](const TensorType* type) {
    return type && std::ranges::any_of(type->shape.dims(), [](std::int64_t extent) { return extent > most; });
  });
}

/// What a block may hold of a sample.
constexpr int most_shared_bytes = 96 << 10;

/// Whether a block can hold the sample, and is not slower than a library.
inline bool fits(const Geometry& g, std::int64_t shared_floats) {
  constexpr std::int64_t most_products = std::int64_t{1} << 20;  // multiplications for one sample
  const std::int64_t products = std::int64_t{g.outputs} * g.pixels() * g.taps();
  const std::int64_t image = std::int64_t{g.channels} * std::max(g.padded_height * g.padded_width, g.height * g.width);
  return products <= most_products && image < (1 << 20) &&
         shared_floats * static_cast<std::int64_t>(sizeof(float)) <= most_shared_bytes;
}

}  // namespace trainctl::cuda::small
