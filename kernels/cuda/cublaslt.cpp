#include "kernels/cuda/cublaslt.h"

#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <mutex>

#include "base/error.h"
#include "base/libraries.h"
#include "base/log.h"
#include "kernels/cuda/passes.h"

namespace trainctl::cuda {
namespace {

/// Of the library that is loaded, which may be another than the headers'.
std::string version_text() {
  const std::size_t version = cublasLtGetVersion();
  return fmt::format("{}.{}.{}", version / 10000, version % 10000 / 100, version % 100);
}
const RegisterLibrary registered_version{"cuBLASLt", version_text()};

void check(cublasStatus_t status, const char* what) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  const bool environment = status == CUBLAS_STATUS_NOT_INITIALIZED || status == CUBLAS_STATUS_ALLOC_FAILED ||
                           status == CUBLAS_STATUS_ARCH_MISMATCH;
  fail(environment ? ErrorKind::environment : ErrorKind::internal, "cuBLASLt, while {}: {} ({})", what,
       cublasLtGetStatusString(status), cublasLtGetStatusName(status));
}

/// One for the process; it lives as long. Null where there is no GPU.
cublasLtHandle_t handle() {
  static const cublasLtHandle_t made = []() -> cublasLtHandle_t {
    int devices = 0;
    const bool any = cudaGetDeviceCount(&devices) == cudaSuccess && devices > 0;
    cudaGetLastError();
    if (!any) return nullptr;
    cublasLtHandle_t created = nullptr;
    check(cublasLtCreate(&created), "starting");
    return created;
  }();
  return made;
}

cudaDataType_t type_of(DType dtype) {
  return dtype == DType::bf16 ? CUDA_R_16BF : CUDA_R_32F;
}

/// A descriptor that is destroyed with its owner.
template <typename T, cublasStatus_t (*destroy)(T)>
struct Owned {
  T handle = nullptr;
  Owned() = default;
  Owned(const Owned&) = delete;
  Owned& operator=(const Owned&) = delete;
  ~Owned() {
    if (handle) destroy(handle);
  }
};
using MatrixLayout = Owned<cublasLtMatrixLayout_t, cublasLtMatrixLayoutDestroy>;
using MatmulDesc = Owned<cublasLtMatmulDesc_t, cublasLtMatmulDescDestroy>;
using Preference = Owned<cublasLtMatmulPreference_t, cublasLtMatmulPreferenceDestroy>;

template <typename T>
void set(const MatmulDesc& desc, cublasLtMatmulDescAttributes_t attribute, const T& value) {
  check(cublasLtMatmulDescSetAttribute(desc.handle, attribute, &value, sizeof(value)), "describing a product");
}
template <typename T>
void set(const Preference& preference, cublasLtMatmulPreferenceAttributes_t attribute, const T& value) {
  check(cublasLtMatmulPreferenceSetAttribute(preference.handle, attribute, &value, sizeof(value)),
        "describing a product");
}

cublasLtEpilogue_t epilogue_of(Product::Epilogue epilogue) {
  switch (epilogue) {
    case Product::Epilogue::none:
      return CUBLASLT_EPILOGUE_DEFAULT;
    case Product::Epilogue::relu:
      return CUBLASLT_EPILOGUE_RELU;
    case Product::Epilogue::bias:
      return CUBLASLT_EPILOGUE_BIAS;
    case Product::Epilogue::bias_relu:
      return CUBLASLT_EPILOGUE_RELU_BIAS;
    case Product::Epilogue::sums_of_a:
      return CUBLASLT_EPILOGUE_BGRADB;
  }
  return CUBLASLT_EPILOGUE_DEFAULT;
}

bool uses_vector(Product::Epilogue epilogue) {
  return epilogue != Product::Epilogue::none && epilogue != Product::Epilogue::relu;
}

void* align(void* workspace) {
  return reinterpret_cast<void*>((reinterpret_cast<std::uintptr_t>(workspace) + 255) / 256 * 256);
}

}  // namespace

std::size_t Product::workspace_limit() const {
  const double products = static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k);
  return std::size_t{products < 1 << 27 ? 4u : 32u} << 20;
}

/// One product as cuBLASLt sees it. It takes matrices to be column-major, and a row-major matrix read so is its
/// transpose; so the product computed is the transpose of ours, D' = B' A', whose operands are B and then A:
///
///   ours, row-major            cuBLASLt's, column-major, ld = columns of ours
///   A (m, k)   transpose_a=0   second operand (k, m), op N         -> op(second) is (k, m) = A'
///   A (k, m)   transpose_a=1   second operand (m, k), op T
///   B (k, n)   transpose_b=0   first operand  (n, k), op N         -> op(first) is (n, k) = B'
///   B (n, k)   transpose_b=1   first operand  (k, n), op T
///   D (m, n)                   D' (n, m)
///
/// so its (m, n, k) are our (n, m, k). For the three products of a linear layer with x (M, K), w (N, K), y (M, N):
///   y  = x w'    A = x,  B = w  transposed:  first w,  T, ld K;  second x,  N, ld K;  D' (N, M), ld N
///   dx = dy w    A = dy, B = w:              first w,  N, ld K;  second dy, N, ld N;  D' (K, M), ld K
///   dw = dy' x   A = dy  transposed, B = x:  first x,  N, ld K;  second dy, T, ld N;  D' (K, N), ld K
/// The bias epilogue adds a vector of D's rows, here n: b of y. BGRADB sums its second operand over k and gives a
/// vector of D's columns, here m: for dw the sums of dy over rows, which is db.
class ProductRunner::Algorithm {
 public:
  /// Null where cuBLASLt has none for operands at multiples of `alignment` bytes.
  static std::unique_ptr<Algorithm> find(const Product& product, int alignment, std::string_view name) {
    auto found = std::make_unique<Algorithm>();
    found->describe(product);
    const auto all = found->heuristics(product, static_cast<std::uint32_t>(alignment));
    if (log::enabled(log::Level::debug)) tell(product, all);
    if (all.empty()) return nullptr;
    const auto named = std::ranges::find_if(all, [&](const auto& result) { return name_of(result.algo) == name; });
    found->algorithm_ = (named == all.end() ? all.front() : *named).algo;
    return found;
  }

  static std::vector<std::string> names(const Product& product, int alignment) {
    Algorithm asked;
    asked.describe(product);
    std::vector<std::string> names;
    for (const auto& result : asked.heuristics(product, static_cast<std::uint32_t>(alignment)))
      names.push_back(name_of(result.algo));
    return names;
  }

  /// Whether it took the product after all.
  bool run(const void* a, const void* b, void* d, void* vector, void* workspace, std::size_t workspace_bytes,
           cudaStream_t stream) {
    const float one = 1.0f, zero = 0.0f;
    if (uses_vector_) set(desc_, CUBLASLT_MATMUL_DESC_BIAS_POINTER, vector);
    const cublasStatus_t status =
        cublasLtMatmul(handle(), desc_.handle, &one, b, first_.handle, a, second_.handle, &zero, d, result_.handle, d,
                       result_.handle, &algorithm_, align(workspace), workspace_bytes, stream);
    if (status == CUBLAS_STATUS_NOT_SUPPORTED || status == CUBLAS_STATUS_INVALID_VALUE) {
      log::debug("cublaslt: a product was refused: {}", cublasLtGetStatusName(status));
      return false;
    }
    check(status, "launching a product");
    return true;
  }

 private:
  void describe(const Product& p) {
    const auto layout = [](MatrixLayout& to, DType dtype, std::int64_t rows, std::int64_t columns) {
      check(cublasLtMatrixLayoutCreate(&to.handle, type_of(dtype), static_cast<std::uint64_t>(columns),
                                       static_cast<std::uint64_t>(rows), columns),
            "describing a product");
    };
    layout(first_, p.operands, p.transpose_b ? p.n : p.k, p.transpose_b ? p.k : p.n);
    layout(second_, p.operands, p.transpose_a ? p.k : p.m, p.transpose_a ? p.m : p.k);
    layout(result_, p.result, p.m, p.n);
    const bool tf32 = p.tf32 && p.operands == DType::f32;
    check(cublasLtMatmulDescCreate(&desc_.handle, tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F, CUDA_R_32F),
          "describing a product");
    set(desc_, CUBLASLT_MATMUL_DESC_TRANSA, p.transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N);
    set(desc_, CUBLASLT_MATMUL_DESC_TRANSB, p.transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N);
    set(desc_, CUBLASLT_MATMUL_DESC_EPILOGUE, epilogue_of(p.epilogue));
    uses_vector_ = uses_vector(p.epilogue);
    if (!uses_vector_) return;
    set(desc_, CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, type_of(p.vector));
    // The heuristics look at its alignment only.
    set(desc_, CUBLASLT_MATMUL_DESC_BIAS_POINTER, reinterpret_cast<void*>(std::uintptr_t{16}));
  }

  std::vector<cublasLtMatmulHeuristicResult_t> heuristics(const Product& p, std::uint32_t alignment) const {
    Preference preference;
    check(cublasLtMatmulPreferenceCreate(&preference.handle), "describing a product");
    set(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, p.workspace_limit());
    // INPLACE adds the pieces of a split sum in the order in which they are ready. And no partial sums in bf16.
    std::uint32_t schemes = CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE;
    if (p.result == DType::f32) schemes |= CUBLASLT_REDUCTION_SCHEME_OUTPUT_TYPE;
    if (p.result == DType::f32 && p.any_order) schemes |= CUBLASLT_REDUCTION_SCHEME_INPLACE;
    set(preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, schemes);
    for (const auto operand : {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
                               CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES})
      set(preference, operand, alignment);
    constexpr int asked = 8;
    std::vector<cublasLtMatmulHeuristicResult_t> results(asked);
    int count = 0;
    const cublasStatus_t status =
        cublasLtMatmulAlgoGetHeuristic(handle(), desc_.handle, first_.handle, second_.handle, result_.handle,
                                       result_.handle, preference.handle, asked, results.data(), &count);
    results.resize(status == CUBLAS_STATUS_SUCCESS ? static_cast<std::size_t>(count) : 0);
    std::erase_if(results, [](const auto& result) { return result.state != CUBLAS_STATUS_SUCCESS; });
    return results;
  }

  /// An algorithm's configuration: its number, and what is not zero of tile, stages, ...
  static std::string name_of(const cublasLtMatmulAlgo_t& algorithm) {
    std::string name;
    const auto add = [&](const char* letter, cublasLtMatmulAlgoConfigAttributes_t which, std::size_t bytes) {
      std::uint32_t value = 0;
      std::size_t written = 0;
      cublasLtMatmulAlgoConfigGetAttribute(&algorithm, which, &value, bytes, &written);
      if (value != 0 || name.empty()) name += fmt::format("{}{}", letter, value);
    };
    add("", CUBLASLT_ALGO_CONFIG_ID, 4);
    add("_t", CUBLASLT_ALGO_CONFIG_TILE_ID, 4);
    add("_s", CUBLASLT_ALGO_CONFIG_STAGES_ID, 4);
    add("_k", CUBLASLT_ALGO_CONFIG_SPLITK_NUM, 4);
    add("_r", CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME, 4);
    add("_z", CUBLASLT_ALGO_CONFIG_CTA_SWIZZLING, 4);
    add("_o", CUBLASLT_ALGO_CONFIG_CUSTOM_OPTION, 4);
    add("_i", CUBLASLT_ALGO_CONFIG_INNER_SHAPE_ID, 2);
    add("_c", CUBLASLT_ALGO_CONFIG_CLUSTER_SHAPE_ID, 2);
    return name;
  }

  static void tell(const Product& p, const std::vector<cublasLtMatmulHeuristicResult_t>& found) {
    log::debug("cublaslt: {}x{}x{} {}{} {}->{}{} epilogue {}: {}", p.m, p.n, p.k, p.transpose_a ? "T" : "N",
               p.transpose_b ? "T" : "N", name(p.operands), name(p.result), p.tf32 ? " tf32" : "",
               static_cast<int>(p.epilogue), found.empty() ? "no algorithm" : name_of(found.front().algo));
  }

  MatmulDesc desc_;
  MatrixLayout first_, second_, result_;
  cublasLtMatmulAlgo_t algorithm_{};
  bool uses_vector_ = false;
};

std::vector<std::string> product_algorithms(const Product& product) {
  if (!handle() || product.m == 0 || product.n == 0 || product.k == 0) return {};
  // The same is asked for equal layers, by fusion, and for every program.
  static std::mutex mutex;
  static std::map<Product, std::vector<std::string>> known;
  const std::lock_guard lock(mutex);
  const auto [found, added] = known.try_emplace(product);
  if (!added) return found->second;
  found->second = ProductRunner::Algorithm::names(product, 16);
  if (!found->second.empty() || product.epilogue == Product::Epilogue::none) return found->second;
  Product plain = product;
  plain.epilogue = Product::Epilogue::none;
  return found->second = ProductRunner::Algorithm::names(plain, 16);
}

ProductRunner::ProductRunner(const Product& product, std::string_view algorithm) : product_(product) {
  if (!handle() || product.m == 0 || product.n == 0 || product.k == 0) return;
  if (product.epilogue != Product::Epilogue::none) fused_ = find(product.epilogue, 16, algorithm);
  if (!fused_) plain_ = find(Product::Epilogue::none, 16, algorithm);
  unaligned_ = find(Product::Epilogue::none, static_cast<int>(size_bytes(product.operands)), {});
}

ProductRunner::~ProductRunner() = default;

std::unique_ptr<ProductRunner::Algorithm> ProductRunner::find(Product::Epilogue epilogue, int alignment,
                                                              std::string_view name) const {
  Product product = product_;
  product.epilogue = epilogue;
  return Algorithm::find(product, alignment, name);
}

bool ProductRunner::run(const void* a, const void* b, void* d, void* vector, void* workspace, cudaStream_t stream) {
  const Product& p = product_;
  const bool all_aligned = aligned(a) && aligned(b) && aligned(d) && aligned(vector);
  for (Algorithm* algorithm : {fused_.get(), plain_.get(), unaligned_.get()}) {
    if (!algorithm || (!all_aligned && algorithm != unaligned_.get())) continue;
    if (!algorithm->run(a, b, d, vector, workspace, p.workspace_limit(), stream)) continue;
    return p.epilogue == Product::Epilogue::none || algorithm == fused_.get();
  }
  const Strided first = p.transpose_a ? Strided{a, 1, p.m} : Strided{a, p.k, 1};
  const Strided second = p.transpose_b ? Strided{b, 1, p.k} : Strided{b, p.n, 1};
  plain_product(p.m, p.n, p.k, p.operands, first, second, p.result, d, stream);
  return p.epilogue == Product::Epilogue::none;
}

}  // namespace trainctl::cuda
