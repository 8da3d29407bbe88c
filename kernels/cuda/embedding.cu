// embedding and its gradient. One launch each.
#include "ops/embedding.h"

#include "kernels/cuda/elements.cuh"

namespace trainctl::cuda {
namespace {

constexpr int threads = 256;

template <typename Label>
__global__ void embedding_kernel(std::int64_t count, std::int64_t rows, std::int64_t width, const Label* index,
                                 const float* table, float* y) {
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < count; i += step) {
    const Label row = index[i / width];
    y[i] = row >= 0 && row < rows ? table[row * width + i % width] : nanf("");
  }
}

/// Rows of the table that a block sums; it looks through all places for them.
constexpr int rows_of_block = 16;

/// Places are looked at `threads` at a time; those of the block's rows are listed in their order, and their dy added
/// one after the other, by the thread that alone has that column.
template <typename Label>
__global__ void __launch_bounds__(threads)
    embedding_backward_kernel(std::int64_t places, std::int64_t rows, std::int64_t width, const Label* index,
                              const float* dy, float* table) {
  __shared__ int found[threads];   // places, counted from `begin`
  __shared__ int row_of[threads];  // their rows, counted from `first`
  __shared__ int of_warp[threads / 32];
  const std::int64_t first = static_cast<std::int64_t>(blockIdx.x) * rows_of_block;
  const std::int64_t last = min(first + rows_of_block, rows);
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  for (std::int64_t i = first * width + threadIdx.x; i < last * width; i += blockDim.x) table[i] = 0.0f;
  for (std::int64_t begin = 0; begin < places; begin += threads) {
    const std::int64_t place = begin + threadIdx.x;
    const std::int64_t row = place < places ? static_cast<std::int64_t>(index[place]) : -1;
    const bool mine = row >= first && row < last;
    const unsigned votes = __ballot_sync(0xFFFFFFFFu, mine);
    __syncthreads();  // the list before may still be read, and the zeros must be written
    if (lane == 0) of_warp[warp] = __popc(votes);
    __syncthreads();
    int before = 0, total = 0;
    for (int w = 0; w < threads / 32; ++w) {
      if (w < warp) before += of_warp[w];
      total += of_warp[w];
    }
    if (mine) {
      const int at = before + __popc(votes & ((1u << lane) - 1u));
      found[at] = static_cast<int>(threadIdx.x);
      row_of[at] = static_cast<int>(row - first);
    }
    __syncthreads();
    for (std::int64_t column = threadIdx.x; column < width; column += blockDim.x) {
      for (int k = 0; k < total; ++k)
        table[(first + row_of[k]) * width + column] += dy[(begin + found[k]) * width + column];
    }
  }
}

std::optional<KernelPlan> plan(const KernelRequest& request) {
  if (request.inputs[1]->dtype != DType::f32 || request.outputs[0].dtype != DType::f32) return std::nullopt;
  return KernelPlan::row_major(request, "cuda");
}

template <typename Label>
std::unique_ptr<Launch> launch(const KernelRequest& request) {
  const std::int64_t places = request.inputs[0]->elements();
  if (request.op == "embedding") {
    const std::int64_t count = request.outputs[0].elements();
    const Shape& table = request.inputs[1]->shape;
    const std::int64_t rows = table[0], width = table[1];
    const int blocks = grid(count, threads);
    return make_launch([=](const LaunchArguments& a) {
      embedding_kernel<Label><<<blocks, threads, 0, stream_of(a)>>>(count, rows, width, in<Label>(a, 0),
                                                                    in<float>(a, 1), out<float>(a, 0));
    });
  }
  const Shape& table = request.outputs[0].shape;
  const std::int64_t rows = table[0], width = table[1];
  const auto blocks = static_cast<unsigned>((rows + rows_of_block - 1) / rows_of_block);
  return make_launch([=](const LaunchArguments& a) {
    embedding_backward_kernel<Label>
        <<<blocks, threads, 0, stream_of(a)>>>(places, rows, width, in<Label>(a, 0), in<float>(a, 1), out<float>(a, 0));
  });
}

std::unique_ptr<Launch> prepare(const KernelRequest& request, const KernelPlan&) {
  return request.inputs[0]->dtype == DType::i64 ? launch<std::int64_t>(request) : launch<std::int32_t>(request);
}

const RegisterCuda registered[] = {{"embedding", plan, prepare}, {"embedding_backward", plan, prepare}};

}  // namespace
}  // namespace trainctl::cuda
