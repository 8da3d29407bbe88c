// Stands in for kernels/cuda/cublaslt.cpp: as if cuBLASLt had no algorithm for any product.
#include "kernels/cuda/cublaslt.h"
#include "kernels/cuda/passes.h"

namespace trainctl::cuda {

class ProductRunner::Algorithm {};

std::size_t Product::workspace_limit() const {
  return 0;
}

std::vector<std::string> product_algorithms(const Product&) {
  return {};
}

ProductRunner::ProductRunner(const Product& product, std::string_view) : product_(product) {}
ProductRunner::~ProductRunner() = default;

bool ProductRunner::run(const void* a, const void* b, void* d, void*, void*, cudaStream_t stream) {
  const Product& p = product_;
  const Strided first = p.transpose_a ? Strided{a, 1, p.m} : Strided{a, p.k, 1};
  const Strided second = p.transpose_b ? Strided{b, 1, p.k} : Strided{b, p.n, 1};
  plain_product(p.m, p.n, p.k, p.operands, first, second, p.result, d, stream);
  return p.epilogue == Product::Epilogue::none;
}

}  // namespace trainctl::cuda
