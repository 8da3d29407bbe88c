// linear and its backward ops in f32 for products so small that a library's kernels would leave most of the device
// idle: small tiles, the long axis divided among the warps of a block, bias and activation in the same launch.
//
// Every product is C[m, n] = sum over k of A[m, k] B[k, n]. Operands lie in memory along k or along their other axis:
//   linear                   y  = x w^T     A = x (along k)     B = w (along k)
//   linear_backward_data     dx = dy w      A = dy (along k)    B = w (along n)
//   linear_backward_weights  dw = dy^T x    A = dy (along m)    B = x (along n)
#include <algorithm>

#include "kernels/cuda/curves.cuh"
#include "kernels/cuda/runtime.h"
#include "ops/linear.h"

namespace trainctl::cuda {
namespace {

constexpr int threads = 256;
/// Elements of the summed axis in shared memory at a time.
constexpr int depth = 64;

struct Product {
  int m, n, k;
};

/// What happens to a sum before it is stored.
struct Epilogue {
  const float* bias = nullptr;  ///< of column n
  Activation activation;
  const float* saved = nullptr;  ///< like C: the sum is multiplied by the activation's slope there instead
  float* row_sums = nullptr;     ///< sum over k of A[m, k], where A lies along m: the bias gradient
};

/// A block computes Rows x Columns of C. Each warp computes 4 Rows/16 x 32 of it for its share of k: thread tiles of
/// Rows/4 x 4.
template <int Rows, int Columns>
struct Tile {
  static constexpr int column_warps = Columns / 32;
  static constexpr int splits = threads / 32 / column_warps;  ///< parts of k that warps sum at the same time
  static constexpr int row_stride = Rows + 4;                 ///< of A in shared memory; the padding keeps banks apart
  static constexpr int column_stride = Columns + 4;
  static constexpr int thread_rows = Rows / 4;
  static constexpr int stage_floats = depth * (row_stride + column_stride);
  static constexpr int shared_floats = std::max(2 * stage_floats, splits* Rows* Columns);
};

/// Part of an operand on its way from global to shared memory: `Extent` rows (or columns) by `depth`, held in registers
/// in between. AlongK: memory is [extent][k], else [k][extent]. Vector: whole float4s may be read.
template <int Extent, bool AlongK, bool Vector>
struct Fetch {
  static constexpr int per_thread = Extent * depth / threads;
  static_assert(per_thread % 4 == 0);
  float value[per_thread];

  /// Element j of this thread: its place in the tile.
  __device__ static void place(int j, int& e, int& k) {
    const int quad = j / 4 * threads + static_cast<int>(threadIdx.x);  // a float4 of the tile
    if constexpr (AlongK) {
      // Sixteen neighbours along the extent, then k: stores to shared memory meet no bank twice.
      constexpr int groups = Extent / 16;
      const int low = quad % 16, k4_low = quad / 16 % 2, rest = quad / 32;
      e = rest % groups * 16 + low;
      k = (rest / groups * 2 + k4_low) * 4 + j % 4;
    } else {
      e = quad % (Extent / 4) * 4 + j % 4;
      k = quad / (Extent / 4);
    }
  }

  __device__ void load(const float* from, int extent, int total_k, int first, int first_k) {
#pragma unroll
    for (int j = 0; j < per_thread; j += 4) {
      int e, k;
      place(j, e, k);
      e += first;
      k += first_k;
      if constexpr (Vector) {
        float4 four{0.0f, 0.0f, 0.0f, 0.0f};
        const std::int64_t at =
            AlongK ? static_cast<std::int64_t>(e) * total_k + k : static_cast<std::int64_t>(k) * extent + e;
        if (e < extent && k < total_k) four = __ldg(reinterpret_cast<const float4*>(from + at));
        value[j] = four.x;
        value[j + 1] = four.y;
        value[j + 2] = four.z;
        value[j + 3] = four.w;
      } else {
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          const int own_e = AlongK ? e : e + i, own_k = AlongK ? k + i : k;
          const std::int64_t at = AlongK ? static_cast<std::int64_t>(own_e) * total_k + own_k
                                         : static_cast<std::int64_t>(own_k) * extent + own_e;
          value[j + i] = own_e < extent && own_k < total_k ? __ldg(from + at) : 0.0f;
        }
      }
    }
  }

  template <int Stride>
  __device__ void store(float* shared) const {
#pragma unroll
    for (int j = 0; j < per_thread; j += 4) {
      int e, k;
      place(j, e, k);
      if constexpr (AlongK) {
#pragma unroll
        for (int i = 0; i < 4; ++i) shared[(k + i) * Stride + e] = value[j + i];
      } else {
        *reinterpret_cast<float4*>(shared + k * Stride + e) = {value[j], value[j + 1], value[j + 2], value[j + 3]};
      }
    }
  }
};

template <int Rows, int Columns, bool AAlongK, bool BAlongK, bool Vector>
__global__ void __launch_bounds__(threads, 2)
    product_kernel(Product p, const float* __restrict__ a, const float* __restrict__ b, float* __restrict__ c,
                   Epilogue epilogue) {
  using T = Tile<Rows, Columns>;
  extern __shared__ float4 shared_memory[];
  float* shared = reinterpret_cast<float*>(shared_memory);
  const int first_row = blockIdx.y * Rows, first_column = blockIdx.x * Columns;
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  const int split = warp / T::column_warps, column_warp = warp % T::column_warps;
  const int row_group = lane / 8 * 4, column_group = column_warp * 32 + lane % 8 * 4;

  float acc[T::thread_rows][4] = {};
  float row_sum = 0.0f;  // of row threadIdx.x % Rows, over every (threads / Rows)th k
  const bool sums_rows = epilogue.row_sums != nullptr && blockIdx.x == 0;

  Fetch<Rows, AAlongK, Vector> fetch_a;
  Fetch<Columns, BAlongK, Vector> fetch_b;
  const int stages = (p.k + depth - 1) / depth;
  fetch_a.load(a, p.m, p.k, first_row, 0);
  fetch_b.load(b, p.n, p.k, first_column, 0);
  for (int stage = 0; stage < stages; ++stage) {
    float* tile_a = shared + stage % 2 * T::stage_floats;
    float* tile_b = tile_a + depth * T::row_stride;
    fetch_a.template store<T::row_stride>(tile_a);
    fetch_b.template store<T::column_stride>(tile_b);
    if (stage + 1 < stages) {
      fetch_a.load(a, p.m, p.k, first_row, (stage + 1) * depth);
      fetch_b.load(b, p.n, p.k, first_column, (stage + 1) * depth);
    }
    __syncthreads();
#pragma unroll
    for (int i = 0; i < depth / T::splits; ++i) {
      const int k = i * T::splits + split;
      float4 row[T::thread_rows / 4];
#pragma unroll
      for (int r = 0; r < T::thread_rows / 4; ++r)
        row[r] = *reinterpret_cast<const float4*>(tile_a + k * T::row_stride + r * 16 + row_group);
      const float4 column = *reinterpret_cast<const float4*>(tile_b + k * T::column_stride + column_group);
#pragma unroll
      for (int r = 0; r < T::thread_rows; ++r) {
        const float4 four = row[r / 4];
        const float left = r % 4 == 0 ? four.x : r % 4 == 1 ? four.y : r % 4 == 2 ? four.z : four.w;
        acc[r][0] += left * column.x;
        acc[r][1] += left * column.y;
        acc[r][2] += left * column.z;
        acc[r][3] += left * column.w;
      }
    }
    if (sums_rows) {
      for (int k = threadIdx.x / Rows; k < depth; k += threads / Rows)
        row_sum += tile_a[k * T::row_stride + threadIdx.x % Rows];
    }
  }

  // The warps' shares of k are added in their order.
  __syncthreads();
  float* own = shared + split * Rows * Columns;
#pragma unroll
  for (int r = 0; r < T::thread_rows; ++r) {
    const int row = r / 4 * 16 + row_group + r % 4;
    *reinterpret_cast<float4*>(own + row * Columns + column_group) = {acc[r][0], acc[r][1], acc[r][2], acc[r][3]};
  }
  __syncthreads();
  for (int i = threadIdx.x; i < Rows * Columns; i += threads) {
    const int m = first_row + i / Columns, n = first_column + i % Columns;
    float total = shared[i];
#pragma unroll
    for (int other = 1; other < T::splits; ++other) total += shared[other * Rows * Columns + i];
    if (m >= p.m || n >= p.n) continue;
    if (epilogue.bias) total += epilogue.bias[n];
    const std::int64_t at = static_cast<std::int64_t>(m) * p.n + n;
    c[at] = epilogue.saved ? total * curve_slope(epilogue.activation, epilogue.saved[at])
                           : curve(epilogue.activation, total);
  }
  if (!sums_rows) return;
  __syncthreads();
  shared[threadIdx.x] = row_sum;
  __syncthreads();
  if (threadIdx.x >= Rows || first_row + static_cast<int>(threadIdx.x) >= p.m) return;
  for (int other = 1; other < threads / Rows; ++other) row_sum += shared[other * Rows + threadIdx.x];
  epilogue.row_sums[first_row + threadIdx.x] = row_sum;
}

enum class Direction { forward, data, weights };

Direction direction_of(const KernelRequest& request) {
  if (request.op == "linear") return Direction::forward;
  return request.op == "linear_backward_data" ? Direction::data : Direction::weights;
}

std::int64_t rows_of(const TensorType& type) {
  return type.elements() / std::max<std::int64_t>(1, type.shape.dim(-1));
}

/// The extents of the product; nothing where it is empty or too large for these kernels.
std::optional<Product> product_of(const KernelRequest& request) {
  const TensorType &first = *request.inputs[0], &second = *request.inputs[1], &result = request.outputs[0];
  std::int64_t m = rows_of(result), n = result.shape.dim(-1), k = 0;
  k = direction_of(request) == Direction::weights ? rows_of(first) : first.shape.dim(-1);
  if (first.elements() == 0 || second.elements() == 0) return std::nullopt;
  // With TF32 the tensor cores of a library are ahead much earlier.
  const double most = request.tf32 ? 0x1p24 : 0x1p27;
  if (m > 1 << 19 || static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k) > most)
    return std::nullopt;
  return Product{static_cast<int>(m), static_cast<int>(n), static_cast<int>(k)};
}

std::optional<KernelPlan> plan(const KernelRequest& request) {
  if (!all_f32(request) || !product_of(request)) return std::nullopt;
  return KernelPlan::row_major(request, "cuda:small");
}

template <int Rows, int Columns, bool AAlongK, bool BAlongK, bool Vector>
void launch_product(const Product& p, const float* a, const float* b, float* c, const Epilogue& epilogue,
                    cudaStream_t stream) {
  constexpr int shared_bytes = sizeof(float) * Tile<Rows, Columns>::shared_floats;
  constexpr auto kernel = product_kernel<Rows, Columns, AAlongK, BAlongK, Vector>;
  allow_shared<kernel, shared_bytes>();
  const dim3 blocks((p.n + Columns - 1) / Columns, (p.m + Rows - 1) / Rows);
  kernel<<<blocks, threads, shared_bytes, stream>>>(p, a, b, c, epilogue);
}

/// Float4s of both operands are whole and aligned.
template <bool AAlongK, bool BAlongK>
bool vectors(const Product& p, const float* a, const float* b) {
  const bool extents = (AAlongK ? p.k : p.m) % 4 == 0 && (BAlongK ? p.k : p.n) % 4 == 0;
  return extents && reinterpret_cast<std::uintptr_t>(a) % 16 == 0 && reinterpret_cast<std::uintptr_t>(b) % 16 == 0;
}

template <bool AAlongK, bool BAlongK>
void launch(const Product& p, const float* a, const float* b, float* c, const Epilogue& epilogue, cudaStream_t stream) {
  const bool vector = vectors<AAlongK, BAlongK>(p, a, b);
  // Large tiles read less; small ones fill the device.
  const std::int64_t large_tiles = static_cast<std::int64_t>((p.m + 31) / 32) * ((p.n + 63) / 64);
  if (large_tiles >= 128) {
    if (vector) return launch_product<32, 64, AAlongK, BAlongK, true>(p, a, b, c, epilogue, stream);
    return launch_product<32, 64, AAlongK, BAlongK, false>(p, a, b, c, epilogue, stream);
  }
  if (vector) return launch_product<16, 32, AAlongK, BAlongK, true>(p, a, b, c, epilogue, stream);
  return launch_product<16, 32, AAlongK, BAlongK, false>(p, a, b, c, epilogue, stream);
}

std::unique_ptr<Launch> prepare(const KernelRequest& request, const KernelPlan&) {
  const Product p = *product_of(request);
  const auto& linear = as<LinearAttributes>(*request.attributes);
  switch (direction_of(request)) {
    case Direction::forward:
      return make_launch([p, has_bias = request.has(2), f = linear.activation](const LaunchArguments& a) {
        launch<true, true>(p, in<float>(a, 0), in<float>(a, 1), out<float>(a, 0),
                           {.bias = has_bias ? in<float>(a, 2) : nullptr, .activation = f}, stream_of(a));
      });
    case Direction::data:
      return make_launch([p, masked = request.has(2), f = linear.activation](const LaunchArguments& a) {
        launch<true, false>(p, in<float>(a, 0), in<float>(a, 1), out<float>(a, 0),
                            {.activation = f, .saved = masked ? in<float>(a, 2) : nullptr}, stream_of(a));
      });
    case Direction::weights:
      break;
  }
  // A = dy and B = x, the other way round than the operands.
  return make_launch([p, bias = linear.bias](const LaunchArguments& a) {
    launch<false, false>(p, in<float>(a, 1), in<float>(a, 0), out<float>(a, 0),
                         {.bias = nullptr, .activation = {}, .row_sums = bias ? out<float>(a, 1) : nullptr},
                         stream_of(a));
  });
}

const RegisterCuda registered[] = {
    {"linear", plan, prepare, priority::specialised, "small"},
    {"linear_backward_data", plan, prepare, priority::specialised, "small"},
    {"linear_backward_weights", plan, prepare, priority::specialised, "small"},
};

}  // namespace
}  // namespace trainctl::cuda
