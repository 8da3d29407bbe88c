// Matrix products by cuBLASLt.
#pragma once

#include <cublasLt.h>

#include <compare>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

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
  bool tf32 = false;       ///< whether f32 operands may be rounded to TF32; sums are always f32
  bool any_order = false;  ///< whether pieces of a split sum may be added in the order in which they are ready
  Epilogue epilogue = Epilogue::none;
  DType vector = DType::f32;  ///< of the epilogue: f32, or that of the result
  friend auto operator<=>(const Product&, const Product&) = default;

  /// Limit for the algorithm's workspace, and bytes that run() wants for it: more, since cuBLASLt wants it at a
  /// multiple of 256 bytes.
  std::size_t workspace_limit() const;
  std::size_t workspace_bytes() const { return workspace_limit() + 256; }
};

/// Names of cuBLASLt's algorithms for a product with aligned operands, in the order of its heuristics: their
/// configuration, "66_t20_s36". None where there is no GPU.
std::vector<std::string> product_algorithms(const Product& product);

/// Algorithms for a product, chosen once: the one that is named, if it is still there, else by cuBLASLt's heuristics.
/// Where there is none with the epilogue the product goes without it; where there is none at all, a kernel of ours
/// computes it.
class ProductRunner {
 public:
  /// `algorithm` is one of product_algorithms(), or empty.
  ProductRunner(const Product& product, std::string_view algorithm);
  ~ProductRunner();
  /// Enqueues the product. `vector` is what bias and bias_relu add to D's rows (n), or where sums_of_a puts the sums of
  /// A over k (m); else null. Returns whether the epilogue was done.
  bool run(const void* a, const void* b, void* d, void* vector, void* workspace, cudaStream_t stream);

 private:
  class Algorithm;
  friend std::vector<std::string> product_algorithms(const Product& product);
  std::unique_ptr<Algorithm> find(Product::Epilogue epilogue, int alignment, std::string_view name) const;

  Product product_;
  std::unique_ptr<Algorithm> fused_, plain_;  // for operands at multiples of 16 bytes
  std::unique_ptr<Algorithm> unaligned_;
};

}  // namespace trainctl::cuda
