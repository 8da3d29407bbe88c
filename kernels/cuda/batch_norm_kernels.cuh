// The kernels of batch_norm and its gradient.
#pragma once

#include "kernels/cuda/channel_walk.cuh"
#include "kernels/cuda/packed.cuh"

namespace trainctl::cuda {

/// Of batch_norm and batch_norm_inference. Where the statistics come from: given, or from the slabs' `partials`
/// (slabs, 2, C), or, without those, from x itself, of which each block then has whole channels.
template <typename T>
struct BatchNormForward {
  const T *x, *sum;
  const float *gamma, *beta, *given_mean, *given_variance;
  float* partials;
  T* y;
  float *mean, *variance;
  float eps;
  bool relu;
};

template <typename T>
struct BatchNormBackward {
  const T *x, *dy, *y;  ///< y is null without relu
  const float *mean, *variance, *gamma;
  float* partials;  ///< (slabs, 2, C), or null if each block has whole channels
  T *dx, *dsum;
  float *dgamma, *dbeta;
  float eps;
};

template <typename W>
using Unit = Packed<typename W::Element, W::vector>;
template <typename W>
using SharedOf = ChannelShared<W::most_tile>;

/// Element k of a unit belongs to the thread's channel number lane_of<W>(k).
template <typename W>
__device__ constexpr int lane_of(int k) {
  return W::rows ? k : 0;
}

/// Mean and sum of squared deviations over a block's slab, in thread t for channel t of the tile. Each thread sums
/// deviations from its first element, and the threads' means are put together as deviations from one of them (Chan,
/// Golub & LeVeque, 1983), so that a mean that is large against the deviation costs no digits.
template <typename W>
__device__ float2 block_moments(const ChannelView& view, const Place<W>& place, const typename W::Element* from,
                                SharedOf<W>& shared) {
  constexpr int at_once = W::rows ? 8 : 4;
  float origin[W::lanes] = {}, sums[W::lanes] = {}, squares[W::lanes] = {};
  int visited = 0;
  for (int i = place.first; i < place.count; i += at_once * place.step) {
    Unit<W> x[at_once];
#pragma unroll
    for (int u = 0; u < at_once; ++u) x[u] = Unit<W>::load(from + place.offset(view, place.near(i, u)));
    if (i == place.first) {
#pragma unroll
      for (int l = 0; l < W::lanes; ++l) origin[l] = x[0][l];
    }
    place.template each<at_once>(i, [&](int u) {
      ++visited;
#pragma unroll
      for (int k = 0; k < W::vector; ++k) {
        const int l = lane_of<W>(k);
        const float deviation = x[u][k] - origin[l];
        sums[l] += deviation;
        squares[l] += deviation * deviation;
      }
    });
  }
  const float n = static_cast<float>(visited * W::unit_elements);
#pragma unroll
  for (int l = 0; l < W::lanes; ++l) {  // now the thread's mean and squared deviations from it
    const float shift = visited ? sums[l] / n : 0.0f;
    origin[l] += shift;
    squares[l] -= sums[l] * shift;
    if (place.first == 0) shared.pivot[place.local + l] = origin[l];
  }
  __syncthreads();
#pragma unroll
  for (int l = 0; l < W::lanes; ++l) {
    const float deviation = visited ? origin[l] - shared.pivot[place.local + l] : 0.0f;
    sums[l] = n * deviation;
    squares[l] += n * deviation * deviation;
  }
  const double2 total = block_sums(sums, squares, view.width, shared);
  if (static_cast<int>(threadIdx.x) >= view.width * W::lanes) return {};
  const double elements = slab_elements<W>(view, place.slab), shift = total.x / elements;
  return {static_cast<float>(shared.pivot[threadIdx.x] + shift), static_cast<float>(total.y - total.x * shift)};
}

/// The same over all of a channel, from the slabs' moments.
template <typename W>
__device__ float2 merged_moments(const ChannelView& view, int tile, const float* partials, SharedOf<W>& shared) {
  const int channels = view.width * W::lanes;
  const int channel = min(tile * channels + static_cast<int>(threadIdx.x) % channels, view.channels - 1);
  const double pivot = partials[channel];
  const double2 total = slab_sums(channels, view.slabs, shared, [&](int slab, double2& sums) {
    const float* moments = partials + static_cast<std::int64_t>(slab) * 2 * view.channels + channel;
    const double n = slab_elements<W>(view, slab), deviation = moments[0] - pivot;
    sums.x += n * deviation;
    sums.y += moments[view.channels] + n * deviation * deviation;
  });
  const double shift = total.x / channel_elements<W>(view);
  return {static_cast<float>(pivot + shift), static_cast<float>(total.y - total.x * shift)};
}

/// Writes a slab's two numbers for each channel, which thread t has for channel t of the tile.
template <typename W>
__device__ void store_partials(const ChannelView& view, float* partials, float first, float second) {
  const int channels = view.width * W::lanes, t = threadIdx.x, channel = blockIdx.x * channels + t;
  if (t >= channels || channel >= view.channels) return;
  partials += static_cast<std::int64_t>(blockIdx.y) * 2 * view.channels + channel;
  partials[0] = first;
  partials[view.channels] = second;
}

template <typename W>
__global__ void __launch_bounds__(channel_threads, W::rows ? 1 : 2)
    moments_kernel(const __grid_constant__ ChannelView view, const typename W::Element* x, float* partials) {
  __shared__ SharedOf<W> shared;
  const Place<W> place(view, blockIdx.x, blockIdx.y);
  const float2 moments = block_moments<W>(view, place, x, shared);
  store_partials<W>(view, partials, moments.x, moments.y);
}

/// y. Blocks and units are in the reverse of the order of moments_kernel: what that read last is still in the cache.
template <typename W>
__global__ void __launch_bounds__(channel_threads, W::rows ? 1 : 2)
    normalize_kernel(const __grid_constant__ ChannelView view,
                     const __grid_constant__ BatchNormForward<typename W::Element> job) {
  constexpr int at_once = W::rows ? 4 : 2;
  __shared__ SharedOf<W> shared;
  const int tile = gridDim.x - 1 - blockIdx.x, slab = gridDim.y - 1 - blockIdx.y;
  const Place<W> place(view, tile, slab);
  const int channels = view.width * W::lanes, t = threadIdx.x, own = tile * channels + t;
  const bool has_channel = t < channels && own < view.channels;
  const float own_gamma = has_channel ? job.gamma[own] : 0.0f, own_beta = has_channel ? job.beta[own] : 0.0f;
  float2 statistics{};  // mean and variance
  if (job.given_mean) {
    if (has_channel) statistics = {job.given_mean[own], job.given_variance[own]};
  } else {
    const float2 moments = job.partials ? merged_moments<W>(view, tile, job.partials, shared)
                                        : block_moments<W>(view, place, job.x, shared);
    const float squares = moments.y < 0.0f ? 0.0f : moments.y;
    statistics = {moments.x, squares / static_cast<float>(channel_elements<W>(view))};
    if (has_channel && slab == 0) {
      job.mean[own] = statistics.x;
      job.variance[own] = statistics.y;
    }
  }
  if (has_channel) {
    shared.coefficient[0][t] = statistics.x;
    shared.coefficient[1][t] = own_gamma / sqrtf(statistics.y + job.eps);
    shared.coefficient[2][t] = own_beta;
  }
  __syncthreads();
  float mean[W::lanes], scale[W::lanes], beta[W::lanes];
#pragma unroll
  for (int l = 0; l < W::lanes; ++l) {
    mean[l] = shared.coefficient[0][place.local + l];
    scale[l] = shared.coefficient[1][place.local + l];
    beta[l] = shared.coefficient[2][place.local + l];
  }
  for (int i = place.first; i < place.count; i += at_once * place.step) {
    Unit<W> x[at_once], sum[at_once];
#pragma unroll
    for (int u = 0; u < at_once; ++u) {
      const std::int64_t offset = place.offset(view, place.count - 1 - place.near(i, u));
      x[u] = Unit<W>::load(job.x + offset);
      if (job.sum) sum[u] = Unit<W>::load(job.sum + offset);
    }
    place.template each<at_once>(i, [&](int u) {
      float y[W::vector];
#pragma unroll
      for (int k = 0; k < W::vector; ++k) {
        const int l = lane_of<W>(k);
        y[k] = (x[u][k] - mean[l]) * scale[l] + beta[l];
        if (job.sum) y[k] += sum[u][k];
        if (job.relu && y[k] < 0.0f) y[k] = 0.0f;  // keeps NaN
      }
      Unit<W>::of(y).store(job.y + place.offset(view, place.count - 1 - place.near(i, u)));
    });
  }
}

/// Whether the gradient passes the activation that gave y. Without a branch, which each element would take for itself.
template <typename T>
__device__ bool passes(const BatchNormBackward<T>& job, float y) {
  return static_cast<int>(!job.y) | static_cast<int>(y > 0.0f);
}

/// Sums over a block's slab of g = dy f'(y) and of g (x - mean), in thread t for channel t of the tile.
template <typename W>
__device__ double2 block_gradient_sums(const ChannelView& view, const Place<W>& place,
                                       const BatchNormBackward<typename W::Element>& job, SharedOf<W>& shared) {
  constexpr int at_once = W::rows ? 4 : 2;
  float mean[W::lanes], sums[W::lanes] = {}, products[W::lanes] = {};
#pragma unroll
  for (int l = 0; l < W::lanes; ++l) mean[l] = place.count > 0 ? job.mean[place.channel + l] : 0.0f;
  for (int i = place.first; i < place.count; i += at_once * place.step) {
    Unit<W> x[at_once], dy[at_once], y[at_once];
#pragma unroll
    for (int u = 0; u < at_once; ++u) {
      const std::int64_t offset = place.offset(view, place.near(i, u));
      x[u] = Unit<W>::load(job.x + offset);
      dy[u] = Unit<W>::load(job.dy + offset);
      y[u] = job.y ? Unit<W>::load(job.y + offset) : Unit<W>{};
    }
    place.template each<at_once>(i, [&](int u) {
#pragma unroll
      for (int k = 0; k < W::vector; ++k) {
        const int l = lane_of<W>(k);
        const float g = passes(job, y[u][k]) ? dy[u][k] : 0.0f;
        sums[l] += g;
        products[l] += g * (x[u][k] - mean[l]);
      }
    });
  }
  return block_sums(sums, products, view.width, shared);
}

template <typename W>
__device__ double2 merged_gradient_sums(const ChannelView& view, int tile, const float* partials, SharedOf<W>& shared) {
  const int channels = view.width * W::lanes;
  const int channel = min(tile * channels + static_cast<int>(threadIdx.x) % channels, view.channels - 1);
  return slab_sums(channels, view.slabs, shared, [&](int slab, double2& sums) {
    const float* slab_sum = partials + static_cast<std::int64_t>(slab) * 2 * view.channels + channel;
    sums.x += slab_sum[0];
    sums.y += slab_sum[view.channels];
  });
}

template <typename W>
__global__ void __launch_bounds__(channel_threads, W::rows ? 1 : 2)
    gradient_sums_kernel(const __grid_constant__ ChannelView view,
                         const __grid_constant__ BatchNormBackward<typename W::Element> job) {
  __shared__ SharedOf<W> shared;
  const Place<W> place(view, blockIdx.x, blockIdx.y);
  const double2 sums = block_gradient_sums<W>(view, place, job, shared);
  store_partials<W>(view, job.partials, static_cast<float>(sums.x), static_cast<float>(sums.y));
}

/// With m elements a channel and r = 1 / sqrt(variance + eps): dbeta = sum g, dgamma = r sum g (x - mean),
/// dx = gamma r (g - dbeta / m - (x - mean) r dgamma / m). In reverse, as normalize_kernel.
template <typename W>
__global__ void __launch_bounds__(channel_threads, W::rows ? 1 : 2)
    gradient_kernel(const __grid_constant__ ChannelView view,
                    const __grid_constant__ BatchNormBackward<typename W::Element> job) {
  constexpr int at_once = W::rows ? 2 : 1;
  __shared__ SharedOf<W> shared;
  const int tile = gridDim.x - 1 - blockIdx.x, slab = gridDim.y - 1 - blockIdx.y;
  const Place<W> place(view, tile, slab);
  const int channels = view.width * W::lanes, t = threadIdx.x, own = tile * channels + t;
  const bool has_channel = t < channels && own < view.channels;
  const float own_mean = has_channel ? job.mean[own] : 0.0f, own_gamma = has_channel ? job.gamma[own] : 0.0f;
  const float rstd = has_channel ? 1.0f / sqrtf(job.variance[own] + job.eps) : 0.0f;
  const double2 sums = job.partials ? merged_gradient_sums<W>(view, tile, job.partials, shared)
                                    : block_gradient_sums<W>(view, place, job, shared);
  if (has_channel) {
    const double elements = channel_elements<W>(view);
    if (slab == 0) {
      job.dgamma[own] = static_cast<float>(sums.y) * rstd;
      job.dbeta[own] = static_cast<float>(sums.x);
    }
    shared.coefficient[0][t] = own_mean;
    shared.coefficient[1][t] = own_gamma * rstd;
    shared.coefficient[2][t] = static_cast<float>(sums.x / elements);
    shared.coefficient[3][t] = static_cast<float>(sums.y / elements) * rstd * rstd;
  }
  __syncthreads();
  float mean[W::lanes], scale[W::lanes], flat[W::lanes], slope[W::lanes];
#pragma unroll
  for (int l = 0; l < W::lanes; ++l) {
    mean[l] = shared.coefficient[0][place.local + l];
    scale[l] = shared.coefficient[1][place.local + l];
    flat[l] = shared.coefficient[2][place.local + l];
    slope[l] = shared.coefficient[3][place.local + l];
  }
  for (int i = place.first; i < place.count; i += at_once * place.step) {
    Unit<W> x[at_once], dy[at_once], y[at_once];
#pragma unroll
    for (int u = 0; u < at_once; ++u) {
      const std::int64_t offset = place.offset(view, place.count - 1 - place.near(i, u));
      x[u] = Unit<W>::load(job.x + offset);
      dy[u] = Unit<W>::load(job.dy + offset);
      y[u] = job.y ? Unit<W>::load(job.y + offset) : Unit<W>{};
    }
    place.template each<at_once>(i, [&](int u) {
      float g[W::vector], dx[W::vector];
#pragma unroll
      for (int k = 0; k < W::vector; ++k) {
        const int l = lane_of<W>(k);
        g[k] = passes(job, y[u][k]) ? dy[u][k] : 0.0f;
        dx[k] = scale[l] * (g[k] - flat[l] - (x[u][k] - mean[l]) * slope[l]);
      }
      const std::int64_t offset = place.offset(view, place.count - 1 - place.near(i, u));
      if (job.dsum) Unit<W>::of(g).store(job.dsum + offset);
      Unit<W>::of(dx).store(job.dx + offset);
    });
  }
}

}  // namespace trainctl::cuda
