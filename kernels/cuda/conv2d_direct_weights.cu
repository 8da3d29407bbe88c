// conv2d_backward_weights straight from its definition: two launches, or one where there are few positions.
#include <algorithm>

#include "kernels/cuda/conv2d_direct.cuh"
#include "kernels/cuda/passes.h"
#include "kernels/cuda/reduce.cuh"

namespace trainctl::cuda::direct {
namespace {

constexpr int threads = 256;
constexpr int tap_tile = 8;     // taps that a thread sums
constexpr int most_parts = 64;  // pieces of the sum over positions

/// dw and, if asked for, db: a block sums `tap_tile` taps (blockIdx.x) of `tile` filters (blockIdx.y) over the part
/// blockIdx.z of the output's positions. Part p writes at dw + p * part_stride, db + p * part_stride.
template <typename T, int tile>
__global__ void backward_weights_kernel(const T* x, const T* dy, float* dw, float* db, const Geometry g,
                                        std::int64_t per_part, std::int64_t part_stride) {
  constexpr int warps = threads / 32;
  __shared__ float partial[warps][tile * (tap_tile + 1)];
  const int filter = static_cast<int>(blockIdx.y) * tile;
  const int group = filter / g.filters;
  const int first = static_cast<int>(blockIdx.x) * tap_tile;
  const int kernel = g.kernel.height * g.kernel.width;
  const int total = g.channels * kernel;
  Tap taps[tap_tile];
#pragma unroll
  for (int t = 0; t < tap_tile; ++t) {
    const int tap = first + t;
    const int down = tap % kernel / g.kernel.width * g.dilation.height, right = tap % g.kernel.width * g.dilation.width;
    taps[t] = {down, right, (group * g.channels + tap / kernel) * g.x.c + down * g.x.h + right * g.x.w};
    if (tap >= total) taps[t].row = 1 << 30;  // outside of every image
  }
  const bool bias = db != nullptr && blockIdx.x == 0;
  const std::int64_t positions = static_cast<std::int64_t>(g.out.height) * g.out.width;
  const std::int64_t begin = blockIdx.z * per_part;
  const std::int64_t end = min(begin + per_part, positions * g.batch);
  float sums[tile][tap_tile] = {};
  float bias_sums[tile] = {};
  for (std::int64_t position = begin + threadIdx.x; position < end; position += threads) {
    const unsigned n = static_cast<unsigned>(position) / static_cast<unsigned>(positions);
    const unsigned at = static_cast<unsigned>(position) % static_cast<unsigned>(positions);
    const int i = static_cast<int>(at / g.out.width), j = static_cast<int>(at % g.out.width);
    const int row = i * g.stride.height - g.top, column = j * g.stride.width - g.left;
    const T* d = dy + n * g.y.n + static_cast<std::int64_t>(filter) * g.y.c + i * g.y.h + j * g.y.w;
    const T* from = x + n * g.x.n + static_cast<std::int64_t>(row) * g.x.h + static_cast<std::int64_t>(column) * g.x.w;
    float gradient[tile];
#pragma unroll
    for (int k = 0; k < tile; ++k) gradient[k] = static_cast<float>(d[static_cast<std::int64_t>(k) * g.y.c]);
#pragma unroll
    for (int t = 0; t < tap_tile; ++t) {
      const bool inside = static_cast<unsigned>(row + taps[t].row) < static_cast<unsigned>(g.in.height) &&
                          static_cast<unsigned>(column + taps[t].column) < static_cast<unsigned>(g.in.width);
      // Outside of the image nothing is added, not even zero times NaN.
      if (!inside) continue;
      const float value = static_cast<float>(from[taps[t].offset]);
#pragma unroll
      for (int k = 0; k < tile; ++k) sums[k][t] += gradient[k] * value;
    }
    if (bias) {
#pragma unroll
      for (int k = 0; k < tile; ++k) bias_sums[k] += gradient[k];
    }
  }
  const int warp = static_cast<int>(threadIdx.x) / 32;
  const bool leader = threadIdx.x % 32 == 0;
#pragma unroll
  for (int k = 0; k < tile; ++k) {
#pragma unroll
    for (int t = 0; t < tap_tile; ++t) {
      const float sum = warp_sum(sums[k][t]);
      if (leader) partial[warp][k * tap_tile + t] = sum;
    }
    const float sum = warp_sum(bias_sums[k]);
    if (leader) partial[warp][tile * tap_tile + k] = sum;
  }
  __syncthreads();
  const int q = static_cast<int>(threadIdx.x);
  if (q >= tile * (tap_tile + 1)) return;
  float sum = 0.0f;
  for (int v = 0; v < warps; ++v) sum += partial[v][q];
  const std::int64_t part = blockIdx.z * part_stride;
  if (q >= tile * tap_tile) {
    if (bias) db[part + filter + q - tile * tap_tile] = sum;
  } else if (first + q % tap_tile < total) {
    dw[part + static_cast<std::int64_t>(filter + q / tap_tile) * total + first + q % tap_tile] = sum;
  }
}

/// How the sums over the output's positions are divided, by the shapes alone.
struct Division {
  int tile;
  dim3 blocks;
  std::int64_t per_part;
  std::int64_t weights, results;  ///< elements of dw, and of dw and db
  bool whole() const { return blocks.z == 1; }
};

Division divide(const KernelRequest& request) {
  const auto& conv = as<Conv2dAttributes>(*request.attributes);
  const Conv2dOperands o = conv2d_operands(request);
  const std::int64_t positions = o.y[0] * o.y[2] * o.y[3], taps = o.w[1] * o.w[2] * o.w[3];
  Division division;
  division.tile = tile_of(o.w[0] / conv.groups, 4);
  const std::int64_t tap_tiles = (taps + tap_tile - 1) / tap_tile, filter_tiles = o.w[0] / division.tile;
  const std::int64_t enough = std::max<std::int64_t>(1, 1024 / std::max<std::int64_t>(1, tap_tiles * filter_tiles));
  const std::int64_t parts = std::clamp<std::int64_t>(std::min(positions / (8 * threads), enough), 1, most_parts);
  division.blocks =
      dim3(static_cast<unsigned>(tap_tiles), static_cast<unsigned>(filter_tiles), static_cast<unsigned>(parts));
  division.per_part = (positions + parts - 1) / parts;
  division.weights = o.w.elements();
  division.results = division.weights + (request.outputs.size() > 1 ? o.w[0] : 0);
  return division;
}

std::optional<KernelPlan> plan_weights(const KernelRequest& request) {
  if (!fits(request) || request.outputs[0].elements() == 0) return std::nullopt;
  KernelPlan plan = KernelPlan::row_major(request, "direct");
  plan.inputs[0] = image_layout(request, 0);
  plan.inputs[1] = image_layout(request, 1);
  const Division division = divide(request);
  if (!division.whole()) {
    plan.workspace_bytes = sizeof(float) * static_cast<std::size_t>(division.blocks.z * division.results);
  }
  return plan;
}

std::unique_ptr<Launch> prepare_weights(const KernelRequest& request, const KernelPlan& plan) {
  const Geometry g = geometry(request, plan.inputs[0], plan.inputs[1]);
  const Division division = divide(request);
  const bool bias = request.outputs.size() > 1;
  return with_float(request.inputs[0]->dtype, [&](auto zero) -> std::unique_ptr<Launch> {
    using T = decltype(zero);
    return make_launch([=](const LaunchArguments& a) {
      float* dw = division.whole() ? out<float>(a, 0) : static_cast<float*>(a.workspace);
      float* db = division.whole() && bias ? out<float>(a, 1) : bias ? dw + division.weights : nullptr;
      with_tile(division.tile, [&](auto size) {
        if constexpr (size() <= 4) {
          backward_weights_kernel<T, size()><<<division.blocks, threads, 0, stream_of(a)>>>(
              in<T>(a, 0), in<T>(a, 1), dw, db, g, division.per_part, division.whole() ? 0 : division.results);
        }
      });
      if (division.whole()) return;
      sum_rows(dw, division.blocks.z, division.results, out<float>(a, 0), division.weights,
               bias ? out<float>(a, 1) : nullptr, stream_of(a));
    });
  });
}

const RegisterCuda registered{"conv2d_backward_weights", plan_weights, prepare_weights, priority::general, "direct"};

}  // namespace
}  // namespace trainctl::cuda::direct
