// Matrix products by cuBLASLt.
#pragma once

#include <cublasLt.h>

#include <cstdint>
#include <memory>
#include <optional>

#include "device/types.h"

namespace trainctl::cuda {

/// D (m, n) = op(A) op(B), all row-major and without gaps, and what is done to D on the way.
struct Product {
  /// What `vector` of run() is for; see there.
  enum class Epilogue : std::uint8_t { none, relu, bias, bias_relu, sums_of_a };

  std::int64_t m = 0, n = 0, k = 0;
  bool transpose_a = false;  ///< A lies as (k, m), else as (m, k)
  bool transpose_b = false;  ///< B lies as (n, k), else as (k, n)
  DType operands = DType::f32;
  DType result = DType::f32;
  bool tf32 = false;  ///< whether f32 operands may be rounded to TF32; sums are always f32
  Epilogue epilogue = Epilogue::none;

  /// Limit for the algorithm's workspace, and bytes that run() wants for it: more, since cuBLASLt wants it at a
  /// multiple of 256 bytes.
  std::size_t workspace_limit() const;
  std::size_t workspace_bytes() const { return workspace_limit() + 256; }
};

/// Algorithms for a product, chosen once by cuBLASLt's heuristics among those whose result is the same in every run.
/// Where there is none with the epilogue the product goes without it; where there is none at all, a kernel of ours
/// computes it.
class ProductRunner {
 public:
  explicit ProductRunner(const Product& product);
  ~ProductRunner();
  /// Enqueues the product. `vector` (f32) is what bias and bias_relu add to D's rows (n), or where sums_of_a puts the
  /// sums of A over k (m); else null. Returns whether the epilogue was done.
  bool run(const void* a, const void* b, void* d, void* vector, void* workspace, cudaStream_t stream);

 private:
  class Algorithm;
  std::unique_ptr<Algorithm> find(Product::Epilogue epilogue, int alignment) const;

  Product product_;
  std::unique_ptr<Algorithm> fused_, plain_;  // for operands at multiples of 16 bytes
  std::unique_ptr<Algorithm> unaligned_;
};

}  // namespace trainctl::cuda
