// resample2d and its gradient, row-major and channels-last. One launch each.
#include "ops/resample.h"

#include "kernels/cuda/divider.cuh"
#include "kernels/cuda/elements.cuh"
#include "kernels/cuda/packed.cuh"

namespace trainctl::cuda {
namespace {

constexpr int threads = 256;

/// Items are packs of y, or in the gradient of x: `lane` of a pixel. Pixels of a plane lie row by row; each is of
/// `lanes` packs of neighbouring channels, or of one element where planes hold one channel.
struct Resample {
  ResampleAxis rows, columns;
  int lanes;
  std::uint32_t items;
  Divider by_lane, by_column, by_row;
};

struct Pixel {
  int plane, row, column, lane;
};

__device__ Pixel pixel_of(const Resample& resample, std::uint32_t item) {
  std::uint32_t lane = item, column = resample.by_lane.split(lane), row = resample.by_column.split(column);
  const std::uint32_t plane = resample.by_row.split(row);
  return {static_cast<int>(plane), static_cast<int>(row), static_cast<int>(column), static_cast<int>(lane)};
}

/// The pack of a pixel in planes of `height` x `width`.
__device__ std::int64_t pack_at(const Resample& resample, const Pixel& p, int height, int width, int row, int column) {
  return ((static_cast<std::int64_t>(p.plane) * height + row) * width + column) * resample.lanes + p.lane;
}

__device__ float share_of(const ResampleTaps& taps) {
  return static_cast<float>(taps.share) / static_cast<float>(taps.whole);
}

template <typename T, int V>
__global__ void resample_kernel(const __grid_constant__ Resample resample, const T* x, T* y) {
  const int height = resample.rows.extent, width = resample.columns.extent;
  for (std::uint32_t item = blockIdx.x * blockDim.x + threadIdx.x; item < resample.items;
       item += gridDim.x * blockDim.x) {
    const Pixel p = pixel_of(resample, item);
    const ResampleTaps r = resample_taps(resample.rows, p.row), s = resample_taps(resample.columns, p.column);
    const auto load = [&](int row, int column) {
      return Packed<T, V>::load(x + pack_at(resample, p, height, width, row, column) * V);
    };
    const auto top_left = load(r.first, s.first);
    T* to = y + static_cast<std::int64_t>(item) * V;
    if (!resample.rows.bilinear) {
      top_left.store(to);
      continue;
    }
    const auto top_right = load(r.first, s.second), bottom_left = load(r.second, s.first),
               bottom_right = load(r.second, s.second);
    const float down = share_of(r), right = share_of(s);
    float result[V];
#pragma unroll
    for (int k = 0; k < V; ++k) {
      const float above = (1.0f - right) * top_left[k] + right * top_right[k];
      const float below = (1.0f - right) * bottom_left[k] + right * bottom_right[k];
      result[k] = (1.0f - down) * above + down * below;
    }
    Packed<T, V>::of(result).store(to);
  }
}

/// How much of position `at` an output takes.
__device__ float weight_of(const ResampleTaps& taps, int at) {
  const float share = share_of(taps);
  return (taps.first == at ? 1.0f - share : 0.0f) + (taps.second == at ? share : 0.0f);
}

/// Each pack of dx sums what the outputs over it took, in their order.
template <typename T, int V>
__global__ void resample_backward_kernel(const __grid_constant__ Resample resample, const T* dy, T* dx) {
  const int height = resample.rows.outputs, width = resample.columns.outputs;
  for (std::uint32_t item = blockIdx.x * blockDim.x + threadIdx.x; item < resample.items;
       item += gridDim.x * blockDim.x) {
    const Pixel p = pixel_of(resample, item);
    const ResampleSpan rows = resample_span(resample.rows, p.row), columns = resample_span(resample.columns, p.column);
    float sum[V] = {};
    for (int i = rows.first; i < rows.end; ++i) {
      const float of_row = weight_of(resample_taps(resample.rows, i), p.row);
      if (of_row == 0.0f) continue;
      for (int j = columns.first; j < columns.end; ++j) {
        const float weight = of_row * weight_of(resample_taps(resample.columns, j), p.column);
        if (weight == 0.0f) continue;
        const auto gradient = Packed<T, V>::load(dy + pack_at(resample, p, height, width, i, j) * V);
#pragma unroll
        for (int k = 0; k < V; ++k) sum[k] += weight * gradient[k];
      }
    }
    Packed<T, V>::of(sum).store(dx + static_cast<std::int64_t>(item) * V);
  }
}

struct Problem {
  Resample2dAttributes attributes;
  Shape x, y;
  bool last, backward;  ///< channels last

  Problem(const KernelRequest& request, const Layout& layout)
      : attributes(as<Resample2dAttributes>(*request.attributes)),
        last(channels_last(layout)),
        backward(request.op == "resample2d_backward") {
    x = backward ? request.outputs[0].shape : request.inputs[0]->shape;
    y = backward ? request.inputs[0]->shape : request.outputs[0].shape;
  }

  /// For packs of V channels; 1 in planes.
  Resample job(int V) const {
    const Shape& numbered = backward ? x : y;
    Resample job{};
    job.rows = resample_axis(attributes, x, 0), job.columns = resample_axis(attributes, x, 1);
    job.lanes = last ? static_cast<int>(x[1] / V) : 1;
    job.items = static_cast<std::uint32_t>(numbered.elements() / V);
    job.by_lane = Divider(job.lanes);
    job.by_column = Divider(numbered[3]);
    job.by_row = Divider(numbered[2]);
    return job;
  }
};

std::optional<KernelPlan> plan(const KernelRequest& request) {
  if (!is_float(request.inputs[0]->dtype) || !all_of_type(request, request.inputs[0]->dtype)) return std::nullopt;
  constexpr std::int64_t limit = std::int64_t{1} << 31;  // items have 31 bits
  const std::int64_t from = request.inputs[0]->elements(), to = request.outputs[0].elements();
  if (from <= 0 || to <= 0 || from >= limit || to >= limit) return std::nullopt;
  KernelPlan plan = KernelPlan::row_major(request, "cuda");
  if (channels_last(given_layout(request, 0))) plan.inputs[0] = plan.outputs[0] = given_layout(request, 0);
  return plan;
}

template <typename T, int V>
void enqueue(const Problem& problem, const T* from, T* to, cudaStream_t stream) {
  const Resample job = problem.job(V);
  const int blocks = grid(job.items, threads);
  if (problem.backward) {
    resample_backward_kernel<T, V><<<blocks, threads, 0, stream>>>(job, from, to);
  } else {
    resample_kernel<T, V><<<blocks, threads, 0, stream>>>(job, from, to);
  }
}

std::unique_ptr<Launch> prepare(const KernelRequest& request, const KernelPlan& plan) {
  const Problem problem(request, plan.inputs[0]);
  return with_float(request.inputs[0]->dtype, [&](auto zero) -> std::unique_ptr<Launch> {
    using T = decltype(zero);
    return make_launch([=](const LaunchArguments& a) {
      constexpr int pack = 16 / sizeof(T);
      const T* from = in<T>(a, 0);
      T* to = out<T>(a, 0);
      if (problem.last && problem.x[1] % pack == 0 && (address(from) | address(to)) % 16 == 0) {
        enqueue<T, pack>(problem, from, to, stream_of(a));
      } else {
        enqueue<T, 1>(problem, from, to, stream_of(a));
      }
    });
  });
}

const RegisterCuda registered[] = {{"resample2d", plan, prepare}, {"resample2d_backward", plan, prepare}};

}  // namespace
}  // namespace trainctl::cuda
