#include "kernels/cuda/passes.h"

#include <algorithm>

#include "kernels/cuda/curves.cuh"
#include "kernels/cuda/elements.cuh"
#include "kernels/cuda/packed.cuh"

namespace trainctl::cuda {
namespace {

constexpr int threads = 256;
constexpr std::int64_t most_blocks = 264;  // of a sum: two on each multiprocessor of an H200

/// `width` elements in a row are of one channel (inner > 1) or of as many successive ones (inner == 1).
template <typename T, typename B, typename Index, int width>
__global__ void finish_kernel(T* y, const B* b, const T* sum, Index packs, Index channels, Index inner, Activation f) {
  using V = Pack<T, width>;
  const Index stride = static_cast<Index>(gridDim.x) * blockDim.x;
  const Index step = inner == 1 ? 1 : 0;
  for (Index i = static_cast<Index>(blockIdx.x) * blockDim.x + threadIdx.x; i < packs; i += stride) {
    V v = reinterpret_cast<const V*>(y)[i];
    V s{};
    if (sum) s = reinterpret_cast<const V*>(sum)[i];
    const Index row = inner == 1 ? i * width : i * width / inner;
    const Index channel = b ? row % channels : 0;
    float added[width] = {};
    if (b) {
#pragma unroll
      for (int k = 0; k < width; ++k) added[k] = static_cast<float>(b[channel + step * k]);
    }
#pragma unroll
    for (int k = 0; k < width; ++k) {
      float value = static_cast<float>(v.at[k]);
      if (b) value += added[k];
      if (sum) value += static_cast<float>(s.at[k]);
      v.at[k] = static_cast<T>(short_curve(f, value));
    }
    reinterpret_cast<V*>(y)[i] = v;
  }
}

struct TimesSlope {
  Activation f;
  __device__ float operator()(const float (&x)[2], std::int64_t) const { return x[0] * short_curve_slope(f, x[1]); }
};

/// Sums of columns over the rows of a part (blockIdx.y). A thread takes V columns that follow each other, a block
/// `width` threads of such side by side, a power of two of at most 32, and threads / width rows at a time. Columns from
/// `split` on go to `second`.
template <typename T, int V>
__global__ void __launch_bounds__(threads)
    column_sums_kernel(const T* x, float* first, std::int64_t split, float* second, std::int64_t rows,
                       std::int64_t columns, int width, std::int64_t rows_per_part) {
  constexpr int at_once = 4;
  __shared__ float partial[V][threads];
  const int thread = static_cast<int>(threadIdx.x);
  const std::int64_t column = (static_cast<std::int64_t>(blockIdx.x) * width + thread % width) * V;
  const std::int64_t begin = blockIdx.y * rows_per_part;
  const std::int64_t end = begin + rows_per_part < rows ? begin + rows_per_part : rows;
  const int step = threads / width;
  float sums[V] = {};
  const auto add = [&](const Packed<T, V>& taken) {
#pragma unroll
    for (int v = 0; v < V; ++v) sums[v] += taken[v];
  };
  if (column < columns) {
    const T* at = x + column;
    std::int64_t row = begin + thread / width;
    for (; row + (at_once - 1) * step < end; row += at_once * step) {
      Packed<T, V> taken[at_once];
#pragma unroll
      for (int u = 0; u < at_once; ++u) taken[u] = Packed<T, V>::load(at + (row + u * step) * columns);
#pragma unroll
      for (int u = 0; u < at_once; ++u) add(taken[u]);
    }
    for (; row < end; row += step) add(Packed<T, V>::load(at + row * columns));
  }
#pragma unroll
  for (int v = 0; v < V; ++v) partial[v][thread] = sums[v];
  __syncthreads();
  for (int active = threads / 2; active >= width; active /= 2) {
    if (thread < active) {
#pragma unroll
      for (int v = 0; v < V; ++v) partial[v][thread] += partial[v][thread + active];
    }
    __syncthreads();
  }
  if (thread >= width || column >= columns) return;
#pragma unroll
  for (int v = 0; v < V; ++v) {
    const std::int64_t own = column + v;
    if (own < split) {
      first[blockIdx.y * split + own] = partial[v][thread];
    } else {
      second[blockIdx.y * (columns - split) + own - split] = partial[v][thread];
    }
  }
}

/// Sums of a channel (blockIdx.x) over the part blockIdx.y of its outer * inner elements.
template <typename T>
__global__ void plane_sums_kernel(const T* x, float* sums, std::int64_t channels, std::int64_t inner,
                                  std::int64_t count, std::int64_t per_part) {
  __shared__ float partial[threads];
  const int thread = static_cast<int>(threadIdx.x);
  const std::int64_t channel = blockIdx.x;
  const std::int64_t begin = blockIdx.y * per_part;
  const std::int64_t end = begin + per_part < count ? begin + per_part : count;
  // Where the element begin + thread is, and how far on the next one of this thread.
  std::int64_t outer = (begin + thread) / inner, at = (begin + thread) % inner;
  const std::int64_t outer_step = threads / inner, step = threads % inner;
  float sum = 0.0f;
  for (std::int64_t i = begin + thread; i < end; i += threads) {
    sum += static_cast<float>(x[(outer * channels + channel) * inner + at]);
    outer += outer_step;
    at += step;
    if (at >= inner) at -= inner, ++outer;
  }
  partial[thread] = sum;
  __syncthreads();
  for (int active = threads / 2; active >= 1; active /= 2) {
    if (thread < active) partial[thread] += partial[thread + active];
    __syncthreads();
  }
  if (thread == 0) sums[blockIdx.y * channels + channel] = partial[0];
}

template <typename T, typename D>
__global__ void product_kernel(const T* a, std::int64_t a_row, std::int64_t a_column, const T* b, std::int64_t b_row,
                               std::int64_t b_column, D* d, std::int64_t m, std::int64_t n, std::int64_t k) {
  const auto stride = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  for (std::int64_t at = blockIdx.x * static_cast<std::int64_t>(blockDim.x) + threadIdx.x; at < m * n; at += stride) {
    const std::int64_t i = at / n, j = at % n;
    float sum = 0.0f;
    for (std::int64_t p = 0; p < k; ++p)
      sum += static_cast<float>(a[i * a_row + p * a_column]) * static_cast<float>(b[p * b_row + j * b_column]);
    d[at] = static_cast<D>(sum);
  }
}

std::int64_t ceil_div(std::int64_t a, std::int64_t b) {
  return (a + b - 1) / b;
}

template <typename T, typename B, typename Index, int width>
void launch_finish(const ChannelExtents& view, const Activation& f, void* y, const void* b, const void* sum,
                   cudaStream_t stream) {
  const std::int64_t packs = view.elements() / width;
  finish_kernel<T, B, Index, width><<<grid(packs, threads), threads, 0, stream>>>(
      static_cast<T*>(y), static_cast<const B*>(b), static_cast<const T*>(sum), static_cast<Index>(packs),
      static_cast<Index>(view.channels), static_cast<Index>(view.inner), f);
  check(cudaGetLastError(), "launching a kernel");
}

/// How the column sums share their work: columns of a thread (16 bytes, or one where rows do not begin at multiples of
/// that), threads side by side in a block, blocks side by side.
struct ColumnGrid {
  int vector, width;
  std::int64_t tiles;
  int rows_at_once() const { return threads / width; }
};
ColumnGrid column_grid(std::int64_t columns, std::size_t element_bytes, bool aligned = true) {
  ColumnGrid grid{static_cast<int>(16 / element_bytes), 1, 0};
  if (!aligned || columns % grid.vector != 0) grid.vector = 1;
  const std::int64_t units = columns / grid.vector;
  const int most_width = grid.vector == 1 ? 32 : 8;  // 128 bytes
  while (grid.width < most_width && grid.width < units) grid.width *= 2;
  grid.tiles = ceil_div(units, grid.width);
  return grid;
}

template <typename T>
void column_sums(const void* x, float* first, std::int64_t split, float* second, std::int64_t rows,
                 std::int64_t columns, int parts, cudaStream_t stream) {
  if (columns == 0) return;
  constexpr int vector = 16 / sizeof(T);
  const ColumnGrid grid = column_grid(columns, sizeof(T), aligned(x));
  const dim3 blocks(static_cast<unsigned>(grid.tiles), static_cast<unsigned>(parts));
  const auto kernel = grid.vector == 1 ? column_sums_kernel<T, 1> : column_sums_kernel<T, vector>;
  kernel<<<blocks, threads, 0, stream>>>(static_cast<const T*>(x), first, split, second, rows, columns, grid.width,
                                         ceil_div(rows, parts));
  check(cudaGetLastError(), "launching a kernel");
}

}  // namespace

void finish(const ChannelExtents& view, DType dtype, const Activation& f, void* y, const Bias& b, const void* sum,
            cudaStream_t stream) {
  if (view.elements() == 0) return;
  require(b.dtype == DType::f32 || b.dtype == dtype, "a bias is wider than what it is added to");
  const std::int64_t run = view.inner == 1 ? view.channels : view.inner;
  with_float(dtype, [&](auto zero) {
    using T = decltype(zero);
    with_index(view.elements(), [&](auto index) {
      using Index = decltype(index);
      constexpr int width = 16 / sizeof(T);
      const bool packed = run % width == 0 && aligned(y) && aligned(sum);
      const auto launch = b.dtype == DType::f32
                              ? (packed ? launch_finish<T, float, Index, width> : launch_finish<T, float, Index, 1>)
                              : (packed ? launch_finish<T, T, Index, width> : launch_finish<T, T, Index, 1>);
      launch(view, f, y, b.data, sum, stream);
    });
  });
}

void multiply_by_slope(std::int64_t elements, DType dtype, const Activation& f, void* dx, const void* saved,
                       cudaStream_t stream) {
  if (elements == 0) return;
  with_float(dtype, [&](auto zero) {
    using T = decltype(zero);
    T* result = static_cast<T*>(dx);
    map<float>(Sources<T, 2>{{result, static_cast<const T*>(saved)}}, result, elements, TimesSlope{f}, stream);
  });
  check(cudaGetLastError(), "launching a kernel");
}

ChannelSum::ChannelSum(const ChannelExtents& view, DType dtype) : view_(view), dtype_(dtype) {
  if (view.elements() == 0) return;
  std::int64_t parts = 1;
  if (view.inner == 1) {
    const ColumnGrid grid = column_grid(view.channels, size_bytes(dtype));
    const std::int64_t passes = ceil_div(view.outer, grid.rows_at_once());
    if (passes > 32) parts = std::min(ceil_div(passes, 16), most_blocks / grid.tiles);
  } else {
    parts =
        std::min({ceil_div(view.outer * view.inner, 16 * threads), 2 * most_blocks / view.channels, std::int64_t{64}});
  }
  parts_ = static_cast<int>(std::max<std::int64_t>(parts, 1));
}

std::size_t ChannelSum::workspace_bytes() const {
  return parts_ == 1 ? 0 : static_cast<std::size_t>(parts_ * view_.channels) * sizeof(float);
}

void ChannelSum::run(const void* x, float* sums, void* workspace, cudaStream_t stream) const {
  if (view_.channels == 0) return;
  float* to = parts_ == 1 ? sums : static_cast<float*>(workspace);
  with_float(dtype_, [&](auto zero) {
    using T = decltype(zero);
    if (view_.inner == 1) {
      return column_sums<T>(x, to, view_.channels, nullptr, view_.outer, view_.channels, parts_, stream);
    }
    const std::int64_t count = view_.outer * view_.inner;
    const dim3 blocks(static_cast<unsigned>(view_.channels), static_cast<unsigned>(parts_));
    plane_sums_kernel<T><<<blocks, threads, 0, stream>>>(static_cast<const T*>(x), to, view_.channels,
                                                         std::max<std::int64_t>(1, view_.inner), count,
                                                         ceil_div(count, parts_));
    check(cudaGetLastError(), "launching a kernel");
  });
  if (parts_ > 1) sum_rows(to, parts_, view_.channels, sums, view_.channels, nullptr, stream);
}

void sum_rows(const float* x, std::int64_t rows, std::int64_t columns, float* first, std::int64_t split, float* second,
              cudaStream_t stream) {
  column_sums<float>(x, first, split, second, rows, columns, 1, stream);
}

void widen(const void* x, float* y, std::int64_t elements, cudaStream_t stream) {
  if (elements == 0) return;
  map<float>(Sources<__nv_bfloat16, 1>{{static_cast<const __nv_bfloat16*>(x)}}, y, elements, Same{}, stream);
  check(cudaGetLastError(), "launching a kernel");
}

void plain_product(std::int64_t m, std::int64_t n, std::int64_t k, DType operands, const Strided& a, const Strided& b,
                   DType result, void* d, cudaStream_t stream) {
  if (m == 0 || n == 0) return;
  with_float(operands, [&](auto zero) {
    using T = decltype(zero);
    const auto launch = [&](auto* to) {
      product_kernel<<<grid(m * n, threads), threads, 0, stream>>>(
          static_cast<const T*>(a.data), a.row, a.column, static_cast<const T*>(b.data), b.row, b.column, to, m, n, k);
    };
    if (result == DType::f32) return launch(static_cast<float*>(d));
    launch(static_cast<T*>(d));
  });
  check(cudaGetLastError(), "launching a kernel");
}

}  // namespace trainctl::cuda
