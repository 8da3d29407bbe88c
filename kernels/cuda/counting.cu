// class_counts, score_histogram: counts are whole numbers, so the order in which threads add does not matter.
#include "ops/counting.h"

#include "kernels/cuda/class_rows.cuh"

namespace trainctl::cuda {
namespace {

constexpr int threads = 256;
using Count = unsigned long long;  // what atomicAdd takes

template <typename Label>
__device__ int row_label(const ClassRows& rows, const Label* target, std::int64_t row) {
  return label_at(target, row, rows.classes);
}
__device__ int row_label(const ClassRows&, const float* target, std::int64_t row) {
  return target[row] > 0.5f;
}

__global__ void zero_kernel(std::int64_t count, Count* y) {
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < count; i += step)
    y[i] = 0;
}

/// The class with the greatest score, the first of equals; -1 if one is NaN.
__device__ int best_class(const ClassRows& rows, const float* x, float threshold) {
  if (rows.classes == 1) return isnan(x[0]) ? -1 : x[0] > threshold;
  int best = 0;
  bool unordered = false;
  for (int c = 0; c < rows.classes; ++c) {
    const float score = x[c * rows.stride];
    unordered = unordered || isnan(score);
    if (score > x[best * rows.stride]) best = c;
  }
  return unordered ? -1 : best;
}

/// Counts of a block are gathered in shared memory where they fit, so that few threads of the device meet.
constexpr int most_gathered = 256;

template <typename Label>
__global__ void __launch_bounds__(threads)
    class_counts_kernel(ClassRows rows, float threshold, const float* scores, const Label* target, Count* counts) {
  __shared__ unsigned gathered[3 * most_gathered];
  const int classes = rows.classes == 1 ? 2 : rows.classes;
  const bool gathers = classes <= most_gathered;
  if (gathers) {
    for (int i = static_cast<int>(threadIdx.x); i < 3 * classes; i += threads) gathered[i] = 0;
    __syncthreads();
  }
  const auto count = [&](int i) {
    if (gathers)
      atomicAdd(&gathered[i], 1u);
    else
      atomicAdd(&counts[i], Count{1});
  };
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * threads;
  for (std::int64_t row = static_cast<std::int64_t>(blockIdx.x) * threads + threadIdx.x; row < rows.count;
       row += step) {
    const int label = row_label(rows, target, row);
    if (label < 0) continue;
    const int best = best_class(rows, scores + rows.start(row), threshold);
    count(2 * classes + label);
    if (best >= 0) count(classes + best);
    if (best == label) count(label);
  }
  if (!gathers) return;
  __syncthreads();
  for (int i = static_cast<int>(threadIdx.x); i < 3 * classes; i += threads) {
    if (gathered[i]) atomicAdd(&counts[i], Count{gathered[i]});
  }
}

/// A thread for each row: log-odds of each class against all others, relative to the greatest score, or for the class
/// that has it to the second greatest.
template <typename Label>
__global__ void __launch_bounds__(threads)
    score_histogram_kernel(ClassRows rows, std::int64_t bins, float limit, const float* scores, const Label* target,
                           Count* counts) {
  const float scale = static_cast<float>(bins) / (2.0f * limit);
  const auto count = [&](int c, bool is, float z) {
    const float place = fminf(fmaxf(z, -limit), limit) + limit;
    const auto bin = min(static_cast<std::int64_t>(place * scale), bins - 1);
    atomicAdd(&counts[((is ? rows.classes : 0) + c) * bins + bin], Count{1});
  };
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * threads;
  for (std::int64_t row = static_cast<std::int64_t>(blockIdx.x) * threads + threadIdx.x; row < rows.count;
       row += step) {
    const float* x = scores + rows.start(row);
    const int label = row_label(rows, target, row);
    const int best = best_class(rows, x, 0.0f);
    if (best < 0) continue;
    if (rows.classes == 1) {
      count(0, label == 1, x[0]);
      continue;
    }
    const float top = x[best * rows.stride];
    float second = -INFINITY, all = 0.0f, others = 0.0f;
    for (int c = 0; c < rows.classes; ++c) {
      if (c != best) second = fmaxf(second, x[c * rows.stride]);
    }
    for (int c = 0; c < rows.classes; ++c) {
      all += expf(x[c * rows.stride] - top);
      if (c != best) others += expf(x[c * rows.stride] - second);
    }
    for (int c = 0; c < rows.classes; ++c) {
      const float score = x[c * rows.stride], against = c == best ? second : top;
      const float z = isinf(against) ? -against : score - against - logf(c == best ? others : all - expf(score - top));
      count(c, c == label, z);
    }
  }
}

std::optional<KernelPlan> plan(const KernelRequest& request) {
  const TensorType& scores = *request.inputs[0];
  if (scores.dtype != DType::f32 || scores.shape[1] > std::numeric_limits<int>::max()) return std::nullopt;
  KernelPlan plan = KernelPlan::row_major(request, "cuda");
  plan.inputs[0] = class_layout(request);
  if (scores.shape[1] == 1 && plan.inputs[0] != Layout()) plan.inputs[1] = plan.inputs[0];  // of the scores' shape
  return plan;
}

/// Calls function with a value of the C++ type of the targets.
template <typename Function>
auto with_target(DType dtype, Function function) {
  if (dtype == DType::f32) return function(float());
  return with_label(dtype, function);
}

std::unique_ptr<Launch> prepare(const KernelRequest& request, const KernelPlan& plan) {
  const ClassRows rows = class_rows(*request.inputs[0], plan.inputs[0]);
  const std::int64_t count = request.outputs[0].elements();
  const bool histogram = request.op == "score_histogram";
  const std::int64_t bins = histogram ? as<ScoreHistogramAttributes>(*request.attributes).bins : 0;
  const double threshold = histogram ? 0.0 : as<ClassCountsAttributes>(*request.attributes).threshold;
  return with_target(request.inputs[1]->dtype, [&](auto label) -> std::unique_ptr<Launch> {
    using Label = decltype(label);
    return make_launch([=](const LaunchArguments& a) {
      zero_kernel<<<grid(count, threads), threads, 0, stream_of(a)>>>(count, out<Count>(a, 0));
      const int blocks = grid(rows.count, threads);
      if (histogram)
        score_histogram_kernel<<<blocks, threads, 0, stream_of(a)>>>(
            rows, bins, static_cast<float>(ScoreHistogramAttributes::limit), in<float>(a, 0), in<Label>(a, 1),
            out<Count>(a, 0));
      else
        class_counts_kernel<<<blocks, threads, 0, stream_of(a)>>>(rows, static_cast<float>(threshold), in<float>(a, 0),
                                                                  in<Label>(a, 1), out<Count>(a, 0));
    });
  });
}

const RegisterCuda registered[] = {
    {"class_counts", plan, prepare},
    {"score_histogram", plan, prepare},
};

}  // namespace
}  // namespace trainctl::cuda
