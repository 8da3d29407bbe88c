// conv2d and its backward ops for images and filters so small that a block holds a whole sample in shared memory: the
// first layers of small nets, where a library's kernels spend their time starting.
//
// One block computes one sample (or, for the weights' gradient, one sample after another). Lanes of a warp are
// neighbouring pixels (or filter taps), each thread holds four channels, so that the other operand of a product is read
// as one broadcast float4.
#include <algorithm>

#include "kernels/cuda/curves.cuh"
#include "kernels/cuda/runtime.h"
#include "ops/conv2d.h"

namespace trainctl::cuda {
namespace {

constexpr int threads = 256;
constexpr int warps = threads / 32;
constexpr std::size_t most_shared_bytes = 96 << 10;
/// Multiplications for one sample beyond which a library is faster.
constexpr std::int64_t most_products = std::int64_t{1} << 20;
/// Blocks that divide the samples for the weights' gradient; fixed, since the order of sums depends on it.
constexpr int weight_blocks = 256;

/// A convolution of `channels` images of height x width to `outputs` images of out_height x out_width. For the data's
/// gradient the roles of the operands are swapped: the image is dy, and filters are read transposed and mirrored.
struct Geometry {
  int samples, channels, height, width;
  int outputs, out_height, out_width;
  int kernel_height, kernel_width, stride_height, stride_width, dilation_height, dilation_width;
  int top, left;
  int padded_height, padded_width;  ///< of the image in shared memory
  int quads;                        ///< output channels in fours

  __host__ __device__ int taps() const { return channels * kernel_height * kernel_width; }
  __host__ __device__ int image_floats() const { return (channels * padded_height * padded_width + 3) / 4 * 4; }
  __host__ __device__ int pixels() const { return out_height * out_width; }
};

/// The image of a sample, zero around it, as floats in shared memory.
template <typename T>
__device__ void load_image(const Geometry& g, const T* x, float* shared) {
  const int padded = g.padded_height * g.padded_width;
  for (int i = threadIdx.x; i < g.channels * padded; i += threads) {
    const int c = i / padded, rest = i - c * padded;
    const int row = rest / g.padded_width - g.top, column = rest % g.padded_width - g.left;
    const bool inside = row >= 0 && row < g.height && column >= 0 && column < g.width;
    shared[i] = inside ? static_cast<float>(x[(c * g.height + row) * g.width + column]) : 0.0f;
  }
}

/// Filters as shared[tap][output], outputs filled up with zeros to fours. `mirrored`: w is (channels, outputs, KH, KW)
/// and turned by half a turn.
__device__ void load_filters(const Geometry& g, const float* w, bool mirrored, float* shared) {
  const int area = g.kernel_height * g.kernel_width, padded = 4 * g.quads;
  for (int i = threadIdx.x; i < g.taps() * padded; i += threads) {
    const int tap = i / padded, o = i - tap * padded;
    const int c = tap / area, at = tap - c * area;
    const std::int64_t from = mirrored ? (static_cast<std::int64_t>(c) * g.outputs + o) * area + (area - 1 - at)
                                       : (static_cast<std::int64_t>(o) * g.channels + c) * area + at;
    shared[i] = o < g.outputs ? w[from] : 0.0f;
  }
}

/// y[o, p] = f(bias[o] + sum[o, p] + sum over taps of image * filter), or with `saved` the sum times f'(saved), for one
/// sample a block. K is the size of a square
/// filter known when compiled, or 0; each thread computes `Pixels` pixels of four outputs.
template <typename T, int K, int Pixels>
__global__ void __launch_bounds__(threads)
    forward_kernel(Geometry g, const T* x, const float* w, const float* bias, const T* sum, const T* saved, T* y,
                   bool mirrored, Activation f) {
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
          filter += g.quads;
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
        y[at] = static_cast<T>(saved ? value * curve_slope(f, static_cast<float>(saved[at])) : curve(f, value));
      }
    }
  }
}

/// How the weights' gradient of a sample is divided: `splits` parts of its pixels, each summed by its own warps.
struct WeightJob {
  Geometry g;
  int splits;
  int values;  ///< of one partial sum: outputs * taps, and outputs for the bias if there is one
  bool bias;
  __host__ __device__ int gradient_floats() const { return g.pixels() * 4 * g.quads; }
  __host__ __device__ int tap_groups() const { return (g.taps() + 31) / 32; }
};

/// Partial sums of dw[o, tap] (and db[o]) over the samples n = blockIdx.x, blockIdx.x + gridDim.x, ...
template <typename T>
__global__ void __launch_bounds__(threads) weights_kernel(WeightJob job, const T* x, const T* dy, float* partial) {
  extern __shared__ float4 shared_memory[];
  const Geometry& g = job.g;
  float* image = reinterpret_cast<float*>(shared_memory);
  float* gradient = image + g.image_floats();      // [pixel][output]
  float* sums = gradient + job.gradient_floats();  // [split][output][tap]
  const int pixels = g.pixels(), taps = g.taps(), padded = 4 * g.quads;
  const int area = g.kernel_height * g.kernel_width;
  const int lane = threadIdx.x % 32, items = job.tap_groups() * g.quads * job.splits;
  const int split_pixels = (pixels + job.splits - 1) / job.splits;
  for (int i = threadIdx.x; i < job.splits * g.outputs * taps; i += threads) sums[i] = 0.0f;
  float bias_sum = 0.0f;  // of output threadIdx.x / 32, in lane 0's order
  float bias_sums[4] = {};

  for (int n = blockIdx.x; n < g.samples; n += gridDim.x) {
    __syncthreads();
    load_image(g, x + static_cast<std::int64_t>(n) * g.channels * g.height * g.width, image);
    const T* dy_n = dy + static_cast<std::int64_t>(n) * g.outputs * pixels;
    for (int i = threadIdx.x; i < padded * pixels; i += threads) {
      const int o = i / pixels, p = i - o * pixels;
      gradient[p * padded + o] = o < g.outputs ? static_cast<float>(dy_n[i]) : 0.0f;
    }
    __syncthreads();
    for (int item = threadIdx.x / 32; item < items; item += warps) {
      const int group = item % job.tap_groups(), rest = item / job.tap_groups();
      const int quad = rest % g.quads, split = rest / g.quads;
      const int tap = group * 32 + lane;
      const int used = min(tap, taps - 1);
      const int c = used / area, at = used - c * area;
      const int r = at / g.kernel_width, s = at - r * g.kernel_width;
      const float* source =
          image + (c * g.padded_height + r * g.dilation_height) * g.padded_width + s * g.dilation_width;
      float acc[4] = {};
      const int begin = split * split_pixels, end = min(begin + split_pixels, pixels);
      int row = begin / g.out_width, column = begin - row * g.out_width;
#pragma unroll 4
      for (int p = begin; p < end; ++p) {
        const float a = source[row * g.stride_height * g.padded_width + column * g.stride_width];
        const float4 b = *reinterpret_cast<const float4*>(gradient + p * padded + 4 * quad);
        acc[0] += a * b.x;
        acc[1] += a * b.y;
        acc[2] += a * b.z;
        acc[3] += a * b.w;
        if (++column == g.out_width) column = 0, ++row;
      }
      if (tap < taps) {
        for (int j = 0; j < 4; ++j) {
          const int o = 4 * quad + j;
          if (o < g.outputs) sums[(split * g.outputs + o) * taps + tap] += acc[j];
        }
      }
    }
    if (job.bias) {
      // Warp w sums outputs w, w + warps, ...; at most 4 rounds (32 outputs).
      int round = 0;
      for (int o = threadIdx.x / 32; o < g.outputs; o += warps, ++round) {
        bias_sum = 0.0f;
        for (int p = lane; p < pixels; p += 32) bias_sum += gradient[p * padded + o];
        for (int offset = 16; offset > 0; offset /= 2) bias_sum += __shfl_xor_sync(0xFFFFFFFFu, bias_sum, offset);
        bias_sums[round] += bias_sum;
      }
    }
  }
  __syncthreads();
  float* own = partial + static_cast<std::int64_t>(blockIdx.x) * job.values;
  const int count = g.outputs * taps;
  for (int i = threadIdx.x; i < count; i += threads) {
    float total = 0.0f;
    for (int split = 0; split < job.splits; ++split) total += sums[split * count + i];
    own[i] = total;
  }
  if (job.bias && lane == 0) {
    int round = 0;
    for (int o = threadIdx.x / 32; o < g.outputs; o += warps, ++round) own[count + o] = bias_sums[round];
  }
}

/// out[i] = sum over blocks of partial[block][i], 32 values a block of 8 x 32 threads; values from `weights` on go to
/// db.
__global__ void __launch_bounds__(threads)
    sum_partials_kernel(const float* partial, int blocks, int values, int weights, float* dw, float* db) {
  __shared__ float sums[8][32];
  const int lane = threadIdx.x % 32, part = threadIdx.x / 32, i = blockIdx.x * 32 + lane;
  float total = 0.0f;
  if (i < values) {
    for (int block = part; block < blocks; block += 8) total += partial[static_cast<std::int64_t>(block) * values + i];
  }
  sums[part][lane] = total;
  __syncthreads();
  if (part != 0 || i >= values) return;
  for (int other = 1; other < 8; ++other) total += sums[other][lane];
  if (i < weights)
    dw[i] = total;
  else
    db[i - weights] = total;
}

Geometry geometry(const Conv2dAttributes& conv, const Shape& x, const Shape& w, const Shape& y) {
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

/// What follows from the rest: how much of the padded image the outputs look at.
void finish(Geometry& g) {
  g.padded_height = (g.out_height - 1) * g.stride_height + (g.kernel_height - 1) * g.dilation_height + 1;
  g.padded_width = (g.out_width - 1) * g.stride_width + (g.kernel_width - 1) * g.dilation_width + 1;
  g.quads = (g.outputs + 3) / 4;
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

enum class Direction { forward, data, weights };

struct Problem {
  Direction direction;
  Geometry g;
  DType dtype;
  bool bias;
};

bool fits(const Problem& problem, std::int64_t shared_floats) {
  const Geometry& g = problem.g;
  const std::int64_t products = std::int64_t{g.outputs} * g.pixels() * g.taps();
  const std::int64_t image = std::int64_t{g.channels} * std::max(g.padded_height * g.padded_width, g.height * g.width);
  return products <= most_products && image < (1 << 20) && g.samples > 0 && g.pixels() > 0 && g.taps() > 0 &&
         static_cast<std::size_t>(shared_floats) * sizeof(float) <= most_shared_bytes;
}

std::int64_t forward_floats(const Geometry& g) {
  return g.image_floats() + std::int64_t{g.taps()} * 4 * g.quads;
}

WeightJob weight_job(const Geometry& g, bool bias) {
  WeightJob job{g, 1, 0, bias};
  job.values = g.outputs * g.taps() + (bias ? g.outputs : 0);
  while (job.splits < 8 && job.tap_groups() * g.quads * job.splits < 2 * warps && g.pixels() / job.splits > 16)
    job.splits *= 2;
  return job;
}

std::int64_t weight_floats(const WeightJob& job) {
  return job.g.image_floats() + job.gradient_floats() + std::int64_t{job.splits} * job.g.outputs * job.g.taps();
}

/// Whether the library has tensor cores for it and channels enough to fill them: its images then lie channels last, and
/// so do those of the layers around. What these kernels save would be lost by reordering images twice.
bool suits_tensor_cores(const KernelRequest& request) {
  constexpr std::int64_t enough = 32;
  if (request.inputs[0]->dtype != DType::bf16 && !request.tf32) return false;
  const Shape& output = request.outputs[0].shape;
  return std::max({request.inputs[0]->shape[1], request.inputs[1]->shape[1], output[1]}) >= enough;
}

/// The request as a problem that these kernels take, if it is one.
std::optional<Problem> problem_of(const KernelRequest& request) {
  const auto& conv = as<Conv2dAttributes>(*request.attributes);
  const DType dtype = request.inputs[0]->dtype;
  if (conv.groups != 1 || !is_float(dtype) || suits_tensor_cores(request)) return std::nullopt;
  constexpr std::int64_t most = 1 << 14;
  for (const TensorType* type : request.inputs) {
    if (type && std::ranges::any_of(type->shape.dims(), [](std::int64_t extent) { return extent > most; }))
      return std::nullopt;
  }
  Problem problem{Direction::forward, {}, dtype, false};
  if (request.op == "conv2d") {
    problem.g = geometry(conv, request.inputs[0]->shape, request.inputs[1]->shape, request.outputs[0].shape);
    finish(problem.g);
    return fits(problem, forward_floats(problem.g)) ? std::optional(problem) : std::nullopt;
  }
  if (request.op == "conv2d_backward_data") {
    if (conv.stride != std::array<std::int64_t, 2>{1, 1}) return std::nullopt;
    problem.direction = Direction::data;
    problem.g = mirrored(geometry(conv, request.outputs[0].shape, request.inputs[1]->shape, request.inputs[0]->shape));
    finish(problem.g);
    return fits(problem, forward_floats(problem.g)) ? std::optional(problem) : std::nullopt;
  }
  problem.direction = Direction::weights;
  problem.bias = conv.bias;
  problem.g = geometry(conv, request.inputs[0]->shape, request.outputs[0].shape, request.inputs[1]->shape);
  finish(problem.g);
  if (problem.g.outputs > 4 * warps) return std::nullopt;
  return fits(problem, weight_floats(weight_job(problem.g, conv.bias))) ? std::optional(problem) : std::nullopt;
}

std::optional<KernelPlan> plan(const KernelRequest& request) {
  const auto problem = problem_of(request);
  if (!problem) return std::nullopt;
  KernelPlan plan = KernelPlan::row_major(request, "cuda:small");
  if (problem->direction == Direction::weights) {
    const std::int64_t blocks = std::min(weight_blocks, problem->g.samples);
    plan.workspace_bytes = sizeof(float) * blocks * weight_job(problem->g, problem->bias).values;
  }
  return plan;
}

template <typename Kernel>
void allow_shared(Kernel kernel, std::size_t bytes) {
  check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes)),
        "preparing a convolution");
}

template <typename T, int K, int Pixels>
std::unique_ptr<Launch> forward_launch(const KernelRequest& request, const Geometry& g, bool turned) {
  const std::size_t shared = sizeof(float) * forward_floats(g);
  allow_shared(forward_kernel<T, K, Pixels>, shared);
  const bool has_bias = !turned && request.has(2), has_sum = !turned && request.has(3);
  const bool masked = turned && request.has(2);
  const Activation f = as<Conv2dAttributes>(*request.attributes).activation;
  return make_launch([=](const LaunchArguments& a) {
    forward_kernel<T, K, Pixels><<<g.samples, threads, shared, stream_of(a)>>>(
        g, in<T>(a, 0), in<float>(a, 1), has_bias ? in<float>(a, 2) : nullptr, has_sum ? in<T>(a, 3) : nullptr,
        masked ? in<T>(a, 2) : nullptr, out<T>(a, 0), turned, f);
  });
}

template <typename T>
std::unique_ptr<Launch> prepare_forward(const KernelRequest& request, const Geometry& g, bool turned) {
  const bool square = g.kernel_height == g.kernel_width;
  const bool many = (g.pixels() + 127) / 128 * g.quads >= warps;
  if (square && g.kernel_height == 5)
    return many ? forward_launch<T, 5, 4>(request, g, turned) : forward_launch<T, 5, 1>(request, g, turned);
  if (square && g.kernel_height == 3)
    return many ? forward_launch<T, 3, 4>(request, g, turned) : forward_launch<T, 3, 1>(request, g, turned);
  return forward_launch<T, 0, 2>(request, g, turned);
}

template <typename T>
std::unique_ptr<Launch> prepare_weights(const Geometry& g, bool bias) {
  const WeightJob job = weight_job(g, bias);
  const std::size_t shared = sizeof(float) * weight_floats(job);
  allow_shared(weights_kernel<T>, shared);
  const int blocks = std::min(weight_blocks, g.samples);
  return make_launch([=](const LaunchArguments& a) {
    auto* partial = static_cast<float*>(a.workspace);
    weights_kernel<T><<<blocks, threads, shared, stream_of(a)>>>(job, in<T>(a, 0), in<T>(a, 1), partial);
    sum_partials_kernel<<<(job.values + 31) / 32, threads, 0, stream_of(a)>>>(
        partial, blocks, job.values, job.g.outputs * job.g.taps(), out<float>(a, 0),
        job.bias ? out<float>(a, 1) : nullptr);
  });
}

std::unique_ptr<Launch> prepare(const KernelRequest& request, const KernelPlan&) {
  const Problem problem = *problem_of(request);
  return with_float(problem.dtype, [&](auto zero) {
    using T = decltype(zero);
    if (problem.direction == Direction::weights) return prepare_weights<T>(problem.g, problem.bias);
    return prepare_forward<T>(request, problem.g, problem.direction == Direction::data);
  });
}

const RegisterCuda registered[] = {
    {"conv2d", plan, prepare, priority::specialised, "small"},
    {"conv2d_backward_data", plan, prepare, priority::specialised, "small"},
    {"conv2d_backward_weights", plan, prepare, priority::specialised, "small"},
};

}  // namespace
}  // namespace trainctl::cuda
