// layer_norm: one launch. layer_norm_backward: one launch too, in which the first blocks make dx and the others the
// sums over rows, and a second one if there are so many rows that these are summed in slabs.
#include "kernels/cuda/teams.cuh"
#include "ops/norm.h"

namespace trainctl::cuda {
namespace {

template <typename T>
struct Forward {
  const T* x;
  const float *gamma, *beta;  ///< null where left out
  T* y;
  float *mean, *rstd;
  float eps;
};

/// y may be x: a thread only reads again what it alone writes.
template <typename T, int V>
__global__ void __launch_bounds__(team_block)
    layer_norm_kernel(const __grid_constant__ TeamRows rows, const __grid_constant__ Forward<T> job) {
  each_row<V>(rows, blockIdx.x, gridDim.x, [&](std::int64_t row, int extent, int first) {
    const T* x = job.x + row * rows.extent;
    T* y = job.y + row * rows.extent;
    const int step = rows.team * V;
    float sum = 0.0f, squares = 0.0f;
    for (int i = first; i < extent; i += step) {
      const auto pack = Packed<T, V>::load(x + i);
#pragma unroll
      for (int k = 0; k < V; ++k) sum += pack[k];
    }
    const float mean = team_sum(sum, rows.team) / static_cast<float>(rows.extent);
    for (int i = first; i < extent; i += step) {
      const auto pack = Packed<T, V>::load(x + i);
#pragma unroll
      for (int k = 0; k < V; ++k) squares += (pack[k] - mean) * (pack[k] - mean);
    }
    const float rstd = 1.0f / sqrtf(team_sum(squares, rows.team) / static_cast<float>(rows.extent) + job.eps);
    if (first == 0 && extent > 0) {
      job.mean[row] = mean;
      job.rstd[row] = rstd;
    }
    for (int i = first; i < extent; i += step) {
      const auto pack = Packed<T, V>::load(x + i);
      float result[V];
#pragma unroll
      for (int k = 0; k < V; ++k) {
        result[k] = (pack[k] - mean) * rstd;
        if (job.gamma) result[k] *= job.gamma[i + k];
        if (job.beta) result[k] += job.beta[i + k];
      }
      Packed<T, V>::of(result).store(y + i);
    }
  });
}

template <typename T>
struct Backward {
  const T *x, *dy;
  const float *mean, *rstd, *gamma;  ///< gamma is null where left out
  T* dx;
  float *dgamma, *dbeta;  ///< null without affine
  float* partials;        ///< (slabs, 2, extent) where there are slabs
};

/// How the rows are split for the sums over them: by shapes only, so that the order of the sums is too.
struct ColumnGrid {
  static constexpr int width = 32, height = team_block / width;
  int tiles = 0, slabs = 0;
  std::int64_t slab_rows = 0;

  ColumnGrid() = default;
  ColumnGrid(std::int64_t rows, std::int64_t extent) {
    tiles = static_cast<int>((extent + width - 1) / width);
    const std::int64_t most = std::max(4 * 132 / tiles, 1);
    slab_rows = (rows + std::min((rows + 127) / 128, most) - 1) / std::min((rows + 127) / 128, most);
    slabs = static_cast<int>((rows + slab_rows - 1) / slab_rows);
  }
  std::size_t workspace(std::int64_t extent) const {
    return slabs > 1 ? static_cast<std::size_t>(slabs) * 2 * extent * sizeof(float) : 0;
  }
};

/// With g = gamma dy and h = (x - mean) rstd: dx = rstd (g - mean(g) - h mean(g h)). dx may be x or dy where nothing
/// else reads them.
template <typename T, int V>
__device__ void input_gradient(const TeamRows& rows, const Backward<T>& job, int blocks) {
  each_row<V>(rows, blockIdx.x, blocks, [&](std::int64_t row, int extent, int first) {
    const T *x = job.x + row * rows.extent, *dy = job.dy + row * rows.extent;
    T* dx = job.dx + row * rows.extent;
    const int step = rows.team * V;
    const float mean = extent > 0 ? job.mean[row] : 0.0f, rstd = extent > 0 ? job.rstd[row] : 0.0f;
    float sum = 0.0f, product = 0.0f;
    for (int i = first; i < extent; i += step) {
      const auto x_pack = Packed<T, V>::load(x + i), dy_pack = Packed<T, V>::load(dy + i);
#pragma unroll
      for (int k = 0; k < V; ++k) {
        const float g = job.gamma ? dy_pack[k] * job.gamma[i + k] : dy_pack[k];
        sum += g;
        product += g * ((x_pack[k] - mean) * rstd);
      }
    }
    const float flat = team_sum(sum, rows.team) / static_cast<float>(rows.extent);
    const float slope = team_sum(product, rows.team) / static_cast<float>(rows.extent);
    for (int i = first; i < extent; i += step) {
      const auto x_pack = Packed<T, V>::load(x + i), dy_pack = Packed<T, V>::load(dy + i);
      float result[V];
#pragma unroll
      for (int k = 0; k < V; ++k) {
        const float g = job.gamma ? dy_pack[k] * job.gamma[i + k] : dy_pack[k];
        result[k] = rstd * (g - flat - (x_pack[k] - mean) * rstd * slope);
      }
      Packed<T, V>::of(result).store(dx + i);
    }
  });
}

/// Sums over a slab's rows of dy h and dy, for `width` columns side by side.
template <typename T>
__device__ void column_sums(const TeamRows& rows, const ColumnGrid& columns, const Backward<T>& job, int block) {
  __shared__ float sums[2][ColumnGrid::height][ColumnGrid::width];
  const int x = threadIdx.x % ColumnGrid::width, y = threadIdx.x / ColumnGrid::width;
  const int column = block % columns.tiles * ColumnGrid::width + x, slab = block / columns.tiles;
  const std::int64_t begin = slab * columns.slab_rows;
  const std::int64_t end = begin + columns.slab_rows < rows.count ? begin + columns.slab_rows : rows.count;
  float dgamma = 0.0f, dbeta = 0.0f;
  if (column < rows.extent) {
#pragma unroll 4
    for (std::int64_t row = begin + y; row < end; row += ColumnGrid::height) {
      const std::int64_t i = row * rows.extent + column;
      const float dy = static_cast<float>(job.dy[i]);
      dgamma += dy * ((static_cast<float>(job.x[i]) - job.mean[row]) * job.rstd[row]);
      dbeta += dy;
    }
  }
  sums[0][y][x] = dgamma;
  sums[1][y][x] = dbeta;
  __syncthreads();
  if (y > 1 || column >= rows.extent) return;
  float sum = 0.0f;  // the first row of threads takes dgamma, the second dbeta
#pragma unroll
  for (int k = 0; k < ColumnGrid::height; ++k) sum += sums[y][k][x];
  float* result = y == 0 ? job.dgamma : job.dbeta;
  if (columns.slabs > 1) result = job.partials + (static_cast<std::int64_t>(slab) * 2 + y) * rows.extent;
  result[column] = sum;
}

template <typename T, int V>
__global__ void __launch_bounds__(team_block)
    layer_norm_backward_kernel(const __grid_constant__ TeamRows rows, const __grid_constant__ ColumnGrid columns,
                               const __grid_constant__ Backward<T> job, int row_blocks) {
  if (static_cast<int>(blockIdx.x) < row_blocks) {
    input_gradient<T, V>(rows, job, row_blocks);
  } else {
    column_sums(rows, columns, job, static_cast<int>(blockIdx.x) - row_blocks);
  }
}

/// The slabs' sums put together: dgamma in the first of the grid's rows, dbeta in the second.
__global__ void merge_slabs_kernel(const float* partials, int slabs, int extent, float* dgamma, float* dbeta) {
  const int column = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (column >= extent) return;
  double sum = 0.0;
#pragma unroll 4
  for (int slab = 0; slab < slabs; ++slab)
    sum += partials[(static_cast<std::int64_t>(slab) * 2 + blockIdx.y) * extent + column];
  (blockIdx.y == 0 ? dgamma : dbeta)[column] = static_cast<float>(sum);
}

/// Rows and their extent.
struct Problem {
  std::int64_t rows, extent;
  explicit Problem(const KernelRequest& request) {
    const Shape& x = request.inputs[0]->shape;
    const int leading = x.rank() - as<LayerNormAttributes>(*request.attributes).axes;
    rows = x.slice(0, leading).elements();
    extent = x.slice(leading).elements();
  }
};

std::optional<KernelPlan> plan(const KernelRequest& request) {
  const Problem problem(request);
  if (!is_float(request.inputs[0]->dtype) || problem.rows * problem.extent == 0 || problem.extent > (1 << 30))
    return std::nullopt;
  KernelPlan plan = KernelPlan::row_major(request, "cuda");
  if (request.op == "layer_norm") {
    plan.in_place = {{0, 0}};
  } else if (request.outputs.size() > 1) {  // with affine, x and dy are read by other blocks meanwhile
    plan.workspace_bytes = ColumnGrid(problem.rows, problem.extent).workspace(problem.extent);
  } else {
    plan.in_place = {{0, 1}, {0, 0}};
  }
  return plan;
}

template <typename T>
std::unique_ptr<Launch> prepare_forward(const KernelRequest& request, const Problem& problem) {
  const auto eps = static_cast<float>(as<LayerNormAttributes>(*request.attributes).eps);
  const bool gamma = request.has(1), beta = request.has(2);
  return make_launch([=](const LaunchArguments& a) {
    const Forward<T> job{in<T>(a, 0),
                         gamma ? in<float>(a, 1) : nullptr,
                         beta ? in<float>(a, 2) : nullptr,
                         out<T>(a, 0),
                         out<float>(a, 1),
                         out<float>(a, 2),
                         eps};
    with_pack<T>(problem.extent, address(job.x) | address(job.y), [&](auto pack) {
      const TeamRows rows(problem.rows, problem.extent, pack);
      layer_norm_kernel<T, pack><<<rows.blocks(), team_block, 0, stream_of(a)>>>(rows, job);
    });
  });
}

template <typename T>
std::unique_ptr<Launch> prepare_backward(const KernelRequest& request, const Problem& problem) {
  const bool gamma = request.has(4), affine = request.outputs.size() > 1;
  const ColumnGrid columns = affine ? ColumnGrid(problem.rows, problem.extent) : ColumnGrid();
  return make_launch([=](const LaunchArguments& a) {
    Backward<T> job{};
    job.x = in<T>(a, 0), job.dy = in<T>(a, 1), job.dx = out<T>(a, 0);
    job.mean = in<float>(a, 2), job.rstd = in<float>(a, 3), job.gamma = gamma ? in<float>(a, 4) : nullptr;
    if (affine) job.dgamma = out<float>(a, 1), job.dbeta = out<float>(a, 2);
    job.partials = static_cast<float*>(a.workspace);
    with_pack<T>(problem.extent, address(job.x) | address(job.dy) | address(job.dx), [&](auto pack) {
      const TeamRows rows(problem.rows, problem.extent, pack);
      const int row_blocks = rows.blocks(), blocks = row_blocks + columns.tiles * columns.slabs;
      layer_norm_backward_kernel<T, pack><<<blocks, team_block, 0, stream_of(a)>>>(rows, columns, job, row_blocks);
    });
    if (columns.slabs > 1) {
      const dim3 blocks(static_cast<unsigned>((problem.extent + 127) / 128), 2);
      merge_slabs_kernel<<<blocks, 128, 0, stream_of(a)>>>(job.partials, columns.slabs,
                                                           static_cast<int>(problem.extent), job.dgamma, job.dbeta);
    }
  });
}

std::unique_ptr<Launch> prepare(const KernelRequest& request, const KernelPlan&) {
  const Problem problem(request);
  return with_float(request.inputs[0]->dtype, [&](auto zero) {
    using T = decltype(zero);
    return request.op == "layer_norm" ? prepare_forward<T>(request, problem) : prepare_backward<T>(request, problem);
  });
}

const RegisterCuda registered[] = {{"layer_norm", plan, prepare}, {"layer_norm_backward", plan, prepare}};

}  // namespace
}  // namespace trainctl::cuda
