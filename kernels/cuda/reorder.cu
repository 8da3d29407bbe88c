// reorder: the same tensor in another layout, and f32 as bf16 or the other way round.
#include "graph/builtin.h"
#include "kernels/cuda/divider.cuh"
#include "kernels/cuda/elements.cuh"

namespace trainctl::cuda {
namespace {

/// `count` tiles that cover a batch of matrices (rows, columns), each to be transposed. A tile of a matrix with few
/// columns takes them all, and so many rows: then it is one run of memory. With few rows it becomes one.
struct Tiles {
  static constexpr int threads = 256;
  static constexpr std::int64_t few = 64;
  static constexpr std::int64_t most_elements = few * few;
  /// Elements in shared memory: an odd number to a row, so that the elements of a column are in different banks. At
  /// most half as many again, where there are two columns.
  static constexpr int most_stored = most_elements * 3 / 2;

  std::int64_t rows, columns, row_tiles, column_tiles, count;
  std::uint32_t tile_rows, tile_columns;
  Divider by_rows, by_columns;

  Tiles(std::int64_t batch, std::int64_t rows_, std::int64_t columns_, std::uint32_t tile_rows_,
        std::uint32_t tile_columns_)
      : rows(rows_),
        columns(columns_),
        row_tiles((rows_ + tile_rows_ - 1) / tile_rows_),
        column_tiles((columns_ + tile_columns_ - 1) / tile_columns_),
        count(batch * row_tiles * column_tiles),
        tile_rows(tile_rows_),
        tile_columns(tile_columns_),
        by_rows(tile_rows_),
        by_columns(tile_columns_) {}

  /// For matrices of at least two rows and columns.
  static Tiles of(std::int64_t batch, std::int64_t rows, std::int64_t columns) {
    if (columns <= few) return {batch, rows, columns, share(rows, most_elements / columns), share(columns, few)};
    if (rows <= few) return {batch, rows, columns, share(rows, few), share(columns, most_elements / rows)};
    return {batch, rows, columns, few, few};
  }

 private:
  /// The extent cut into equal parts of at most `most`, which is at least 64; multiples of 32 unless it is all.
  static std::uint32_t share(std::int64_t extent, std::int64_t most) {
    if (extent <= most) return static_cast<std::uint32_t>(extent);
    most = most / 32 * 32;
    const std::int64_t parts = (extent + most - 1) / most;
    return static_cast<std::uint32_t>(((extent + parts - 1) / parts + 31) / 32 * 32);
  }
};

template <typename From, typename To>
__global__ void __launch_bounds__(Tiles::threads)
    transpose_kernel(const From* __restrict__ x, To* __restrict__ y, const __grid_constant__ Tiles tiles) {
  __shared__ To tile[Tiles::most_stored];
  const std::uint32_t stored = tiles.tile_columns | 1, elements = tiles.tile_rows * tiles.tile_columns;
  for (std::int64_t number = blockIdx.x; number < tiles.count; number += gridDim.x) {
    const std::int64_t column = number % tiles.column_tiles * tiles.tile_columns, above = number / tiles.column_tiles;
    const std::int64_t row = above % tiles.row_tiles * tiles.tile_rows, batch = above / tiles.row_tiles;
    const From* from = x + (batch * tiles.rows + row) * tiles.columns + column;
    To* to = y + (batch * tiles.columns + column) * tiles.rows + row;
    const std::int64_t rows = tiles.rows - row, columns = tiles.columns - column;  // what is left of the matrix
    const auto each = [&](const Divider& divider, std::uint32_t extent, const auto& move) {
      const auto one = [&](std::uint32_t k) {
        const std::uint32_t major = divider.quotient(k);
        move(major, k - major * extent);
      };
      constexpr int at_once = 4;
      std::uint32_t k = threadIdx.x;
      for (; k + (at_once - 1) * Tiles::threads < elements; k += at_once * Tiles::threads) {
#pragma unroll
        for (int u = 0; u < at_once; ++u) one(k + u * Tiles::threads);
      }
      for (; k < elements; k += Tiles::threads) one(k);
    };
    const auto take = [&](std::uint32_t r, std::uint32_t c) {
      tile[r * stored + c] = static_cast<To>(from[r * tiles.columns + c]);
    };
    const auto put = [&](std::uint32_t c, std::uint32_t r) { to[c * tiles.rows + r] = tile[r * stored + c]; };
    // Most tiles are whole: asking of each element would have loads wait for each other.
    if (rows >= tiles.tile_rows && columns >= tiles.tile_columns) {
      each(tiles.by_columns, tiles.tile_columns, take);
      __syncthreads();
      each(tiles.by_rows, tiles.tile_rows, put);
    } else {
      each(tiles.by_columns, tiles.tile_columns, [&](std::uint32_t r, std::uint32_t c) {
        if (r < rows && c < columns) take(r, c);
      });
      __syncthreads();
      each(tiles.by_rows, tiles.tile_rows, [&](std::uint32_t c, std::uint32_t r) {
        if (r < rows && c < columns) put(c, r);
      });
    }
    __syncthreads();
  }
}

/// A reorder as matrices to be transposed.
struct Transpose {
  std::int64_t batch, rows, columns;
  /// Whether memory does not change.
  bool nothing() const { return rows == 1 || columns == 1; }
};

/// Nothing if the layouts are not row-major and channels last.
std::optional<Transpose> transpose_of(const Shape& shape, const Layout& from, const Layout& to) {
  if (from == to) return Transpose{1, 1, 1};
  if (shape.rank() != 4) return std::nullopt;
  const std::int64_t pixels = shape[2] * shape[3];
  if (from.row_major() && channels_last(to)) return Transpose{shape[0], shape[1], pixels};
  if (channels_last(from) && to.row_major()) return Transpose{shape[0], pixels, shape[1]};
  return std::nullopt;
}

std::optional<KernelPlan> plan(const KernelRequest& request) {
  const auto& attributes = as<ReorderAttributes>(*request.attributes);
  const TensorType &from = *request.inputs[0], &to = request.outputs[0];
  if (from.dtype != to.dtype && !(is_float(from.dtype) && is_float(to.dtype))) return std::nullopt;
  const auto transpose = transpose_of(to.shape, attributes.from, attributes.to);
  if (!transpose) return std::nullopt;
  KernelPlan plan = KernelPlan::row_major(request, transpose->nothing() ? "cuda:copy" : "cuda:transpose");
  plan.inputs[0] = attributes.from;
  plan.outputs[0] = attributes.to;
  return plan;
}

template <typename From, typename To>
std::unique_ptr<Launch> launch(const Transpose& transpose, std::int64_t n) {
  if (transpose.nothing())
    return make_launch([=](const LaunchArguments& a) {
      map<From>(Sources<From, 1>{{in<From>(a, 0)}}, out<To>(a, 0), n, Same(), stream_of(a));
    });
  const Tiles tiles = Tiles::of(transpose.batch, transpose.rows, transpose.columns);
  return make_launch([=](const LaunchArguments& a) {
    transpose_kernel<From, To>
        <<<grid(tiles.count, 1), Tiles::threads, 0, stream_of(a)>>>(in<From>(a, 0), out<To>(a, 0), tiles);
  });
}

std::unique_ptr<Launch> prepare(const KernelRequest& request, const KernelPlan& plan) {
  const DType from = request.inputs[0]->dtype, to = request.outputs[0].dtype;
  const Transpose transpose = *transpose_of(request.outputs[0].shape, plan.inputs[0], plan.outputs[0]);
  const std::int64_t n = stored_elements(request, plan);
  if (from == DType::f32 && to == DType::bf16) return launch<float, __nv_bfloat16>(transpose, n);
  if (from == DType::bf16 && to == DType::f32) return launch<__nv_bfloat16, float>(transpose, n);
  return with_bits(size_bytes(to), [&](auto bits) { return launch<decltype(bits), decltype(bits)>(transpose, n); });
}

const RegisterCuda registered[] = {{"reorder", plan, prepare}};

}  // namespace
}  // namespace trainctl::cuda
