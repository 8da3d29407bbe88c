// conv2d_backward_weights of small images: partial sums over the samples of a block, then their sum.
#include <algorithm>

#include "kernels/cuda/conv2d_small.cuh"

namespace trainctl::cuda::small {
namespace {

/// Blocks that divide the samples; fixed, since the order of sums depends on it.
constexpr int most_blocks = 256;

/// How the weights' gradient of a sample is divided: `splits` parts of its pixels, each summed by its own warps.
struct Job {
  Geometry g;
  int splits;
  int values;  ///< of one partial sum: outputs * taps, and outputs for the bias if there is one
  bool bias;
  __host__ __device__ int gradient_floats() const { return g.pixels() * 4 * g.quad_stride; }
  __host__ __device__ int tap_groups() const { return (g.taps() + 31) / 32; }
};

/// Partial sums of dw[o, tap] (and db[o]) over the samples n = blockIdx.x, blockIdx.x + gridDim.x, ...
template <typename T>
__global__ void __launch_bounds__(threads)
    weights_kernel(const __grid_constant__ Job job, const T* x, const T* __restrict__ dy, float* partial) {
  extern __shared__ float4 shared_memory[];
  const Geometry& g = job.g;
  float* image = reinterpret_cast<float*>(shared_memory);
  float* gradient = image + g.image_floats();      // [pixel][output]
  float* sums = gradient + job.gradient_floats();  // [split][output][tap]
  const int pixels = g.pixels(), taps = g.taps(), stride = 4 * g.quad_stride;
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
#pragma unroll 4
    for (int i = threadIdx.x; i < 4 * g.quads * pixels; i += threads) {
      std::uint32_t p = i;
      const auto o = static_cast<int>(g.by_pixels.split(p));
      gradient[p * stride + o] = o < g.outputs ? static_cast<float>(dy_n[i]) : 0.0f;
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
        const float4 b = *reinterpret_cast<const float4*>(gradient + p * stride + 4 * quad);
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
        for (int p = lane; p < pixels; p += 32) bias_sum += gradient[p * stride + o];
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

Job job_of(const Geometry& g, bool bias) {
  Job job{g, 1, 0, bias};
  job.values = g.outputs * g.taps() + (bias ? g.outputs : 0);
  while (job.splits < 8 && job.tap_groups() * g.quads * job.splits < 2 * warps && g.pixels() / job.splits > 16)
    job.splits *= 2;
  return job;
}

std::int64_t shared_floats(const Job& job) {
  return job.g.image_floats() + job.gradient_floats() + std::int64_t{job.splits} * job.g.outputs * job.g.taps();
}

/// The request as a job that the kernels do, if it is one.
std::optional<Job> job_of(const KernelRequest& request) {
  if (!fits(request)) return std::nullopt;
  const auto& conv = as<Conv2dAttributes>(*request.attributes);
  Geometry g = geometry(conv, request.inputs[0]->shape, request.outputs[0].shape, request.inputs[1]->shape);
  if (!finish(g) || g.outputs > 4 * warps) return std::nullopt;
  const Job job = job_of(g, conv.bias);
  return fits(g, shared_floats(job)) ? std::optional(job) : std::nullopt;
}

int blocks(const Job& job) {
  return std::min(most_blocks, job.g.samples);
}

std::optional<KernelPlan> plan(const KernelRequest& request) {
  const auto job = job_of(request);
  if (!job) return std::nullopt;
  KernelPlan plan = KernelPlan::row_major(request, "cuda:small");
  plan.workspace_bytes = sizeof(float) * blocks(*job) * job->values;
  return plan;
}

std::unique_ptr<Launch> prepare(const KernelRequest& request, const KernelPlan&) {
  const Job job = *job_of(request);
  const std::size_t shared = sizeof(float) * shared_floats(job);
  return with_float(request.inputs[0]->dtype, [&](auto zero) -> std::unique_ptr<Launch> {
    using T = decltype(zero);
    allow_shared<weights_kernel<T>, most_shared_bytes>();
    return make_launch([=](const LaunchArguments& a) {
      auto* partial = static_cast<float*>(a.workspace);
      weights_kernel<T><<<blocks(job), threads, shared, stream_of(a)>>>(job, in<T>(a, 0), in<T>(a, 1), partial);
      sum_partials_kernel<<<(job.values + 31) / 32, threads, 0, stream_of(a)>>>(
          partial, blocks(job), job.values, job.g.outputs * job.g.taps(), out<float>(a, 0),
          job.bias ? out<float>(a, 1) : nullptr);
    });
  });
}

const RegisterCuda registered{"conv2d_backward_weights", plan, prepare, priority::specialised, "small"};

}  // namespace
}  // namespace trainctl::cuda::small
