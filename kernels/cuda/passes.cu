#include "kernels/cuda/passes.h"

#include <algorithm>

#include "kernels/cuda/curves.cuh"
#include "kernels/cuda/elements.cuh"

namespace trainctl::cuda {
namespace {

constexpr int threads = 256;
constexpr int most_parts = 64;

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
#pragma unroll
    for (int k = 0; k < width; ++k) {
      float value = static_cast<float>(v.at[k]);
      if (b) value += static_cast<float>(b[channel + step * k]);
      if (sum) value += static_cast<float>(s.at[k]);
      v.at[k] = static_cast<T>(curve(f, value));
    }
    reinterpret_cast<V*>(y)[i] = v;
  }
}

struct TimesSlope {
  Activation f;
  __device__ float operator()(const float (&x)[2], std::int64_t) const { return x[0] * curve_slope(f, x[1]); }
};

/// Sums of columns over the rows of a part (blockIdx.y). A block takes `width` columns, a power of two of at most 32,
/// and threads / width rows at a time. Columns from `split` on go to `second`.
template <typename T>
__global__ void column_sums_kernel(const T* x, float* first, std::int64_t split, float* second, std::int64_t rows,
                                   std::int64_t columns, int width, std::int64_t rows_per_part) {
  __shared__ float partial[threads];
  const int thread = static_cast<int>(threadIdx.x);
  const std::int64_t column = static_cast<std::int64_t>(blockIdx.x) * width + thread % width;
  const std::int64_t begin = blockIdx.y * rows_per_part;
  const std::int64_t end = begin + rows_per_part < rows ? begin + rows_per_part : rows;
  const int step = threads / width;
  float sum = 0.0f;
  if (column < columns) {
#pragma unroll 4
    for (std::int64_t row = begin + thread / width; row < end; row += step)
      sum += static_cast<float>(x[row * columns + column]);
  }
  partial[thread] = sum;
  __syncthreads();
  for (int active = threads / 2; active >= width; active /= 2) {
    if (thread < active) partial[thread] += partial[thread + active];
    __syncthreads();
  }
  if (thread >= width || column >= columns) return;
  if (column < split) {
    first[blockIdx.y * split + column] = partial[thread];
  } else {
    second[blockIdx.y * (columns - split) + column - split] = partial[thread];
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

__global__ void widen_kernel(const __nv_bfloat16* x, float* y, std::int64_t n) {
  const auto stride = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  for (std::int64_t i = blockIdx.x * static_cast<std::int64_t>(blockDim.x) + threadIdx.x; i < n; i += stride)
    y[i] = static_cast<float>(x[i]);
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
void launch_finish(const ChannelView& view, const Activation& f, void* y, const void* b, const void* sum,
                   cudaStream_t stream) {
  const std::int64_t packs = view.elements() / width;
  finish_kernel<T, B, Index, width><<<grid(packs, threads), threads, 0, stream>>>(
      static_cast<T*>(y), static_cast<const B*>(b), static_cast<const T*>(sum), static_cast<Index>(packs),
      static_cast<Index>(view.channels), static_cast<Index>(view.inner), f);
  check(cudaGetLastError(), "launching a kernel");
}

/// Columns that a block of the column sums takes.
int column_width(std::int64_t columns) {
  int width = 1;
  while (width < 32 && width < columns) width *= 2;
  return width;
}

template <typename T>
void column_sums(const void* x, float* first, std::int64_t split, float* second, std::int64_t rows,
                 std::int64_t columns, int parts, cudaStream_t stream) {
  if (columns == 0) return;
  const int width = column_width(columns);
  const dim3 blocks(static_cast<unsigned>(ceil_div(columns, width)), static_cast<unsigned>(parts));
  column_sums_kernel<T><<<blocks, threads, 0, stream>>>(static_cast<const T*>(x), first, split, second, rows, columns,
                                                        width, ceil_div(rows, parts));
  check(cudaGetLastError(), "launching a kernel");
}

}  // namespace

void finish(const ChannelView& view, DType dtype, const Activation& f, void* y, const Bias& b, const void* sum,
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

ChannelSum::ChannelSum(const ChannelView& view, DType dtype) : view_(view), dtype_(dtype) {
  if (view.elements() == 0) return;
  std::int64_t parts = 1;
  if (view.inner == 1) {
    const int width = column_width(view.channels);
    const std::int64_t passes = ceil_div(view.outer, threads / width);
    if (passes > 32) parts = std::min(ceil_div(passes, 16), std::max<std::int64_t>(1, 1024 * width / view.channels));
  } else {
    parts = std::min(ceil_div(view.outer * view.inner, 16 * threads), std::max<std::int64_t>(1, 512 / view.channels));
  }
  parts_ = static_cast<int>(std::clamp<std::int64_t>(parts, 1, most_parts));
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
  widen_kernel<<<grid(elements, threads), threads, 0, stream>>>(static_cast<const __nv_bfloat16*>(x), y, elements);
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
