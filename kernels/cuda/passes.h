// Small kernels around the libraries' products and convolutions: what they cannot fuse, and what they cannot do at all.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>

#include "device/types.h"
#include "ops/activation.h"

namespace trainctl::cuda {

/// A tensor as it lies, seen as (outer, channels, inner). Matrices and channels-last images have inner = 1, row-major
/// images inner = height x width.
struct ChannelExtents {
  std::int64_t outer = 0;
  std::int64_t channels = 0;
  std::int64_t inner = 1;
  std::int64_t elements() const { return outer * channels * inner; }
};

/// Whether an address is a multiple of 16 bytes; null is.
inline bool aligned(const void* address) {
  return reinterpret_cast<std::uintptr_t>(address) % 16 == 0;
}

/// What is added to each channel: a number of `dtype` for each; null for nothing.
struct Bias {
  const void* data = nullptr;
  DType dtype = DType::f32;
};
/// y = f(y + b[channel] + sum), all computed in f32. y and sum have the element type `dtype` (f32 or bf16), b has that
/// or f32; `sum` may be null. One launch.
void finish(const ChannelExtents& view, DType dtype, const Activation& f, void* y, const Bias& b, const void* sum,
            cudaStream_t stream);

/// dx *= f'(saved), elementwise; both of element type `dtype` (f32 or bf16) and in one layout. One launch.
void multiply_by_slope(std::int64_t elements, DType dtype, const Activation& f, void* dx, const void* saved,
                       cudaStream_t stream);

/// Sums over all but the channels, in an order that depends on the shape and on whether x is aligned alone: one launch,
/// or two where there is much to sum.
class ChannelSum {
 public:
  /// Of a tensor of f32 or bf16.
  ChannelSum(const ChannelExtents& view, DType dtype);
  /// Scratch that run() needs.
  std::size_t workspace_bytes() const;
  /// sums[channel] = sum of x over outer and inner.
  void run(const void* x, float* sums, void* workspace, cudaStream_t stream) const;

 private:
  ChannelExtents view_;
  DType dtype_;
  int parts_ = 1;  // pieces that are summed apart at first
};

/// Sums of the columns of a row-major (rows, columns) matrix; those of the first `split` columns go to `first`, the
/// others to `second`. One launch; meant for a few dozen rows.
void sum_rows(const float* x, std::int64_t rows, std::int64_t columns, float* first, std::int64_t split, float* second,
              cudaStream_t stream);

/// y = x, from bf16 to f32.
void widen(const void* x, float* y, std::int64_t elements, cudaStream_t stream);

/// A matrix operand of plain_product(): the element of row i and column j is at i * row + j * column.
struct Strided {
  const void* data = nullptr;
  std::int64_t row = 0;
  std::int64_t column = 0;
};
/// d (m, n) = a (m, k) b (k, n), d row-major. Operands f32 or bf16, d of their type or f32. Slow, and right for any
/// extents, k = 0 included.
void plain_product(std::int64_t m, std::int64_t n, std::int64_t k, DType operands, const Strided& a, const Strided& b,
                   DType result, void* d, cudaStream_t stream);

}  // namespace trainctl::cuda
