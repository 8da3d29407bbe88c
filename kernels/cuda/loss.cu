// softmax_cross_entropy, nll and their gradients.
#include "ops/loss.h"

#include <algorithm>
#include <cmath>

#include "kernels/cuda/class_rows.cuh"
#include "kernels/cuda/reduce.cuh"

namespace trainctl::cuda {
namespace {

/// Losses of some rows, and their weights.
struct Weighted {
  double loss, weight;
};
__device__ Weighted operator+(const Weighted& a, const Weighted& b) {
  return {a.loss + b.loss, a.weight + b.weight};
}
__device__ Weighted exchange(const Weighted& value, int mask) {
  return {cuda::exchange(value.loss, mask), cuda::exchange(value.weight, mask)};
}
struct WeightedMean {
  __device__ float operator()(const Weighted& sum) const { return static_cast<float>(sum.loss / sum.weight); }
};

/// NaN for a target that names no class: the loss shows it, and no foreign memory is read.
__device__ float weight_of(const float* weights, int label) {
  if (label < 0) return NAN;
  return weights ? weights[label] : 1.0f;
}

/// Rows of more classes than this are shared by whole blocks, others by up to 32 lanes.
constexpr int widest_of_warp = 2048;

/// log sum_c e^x_c of a row as the sum of two, the first of them the greatest x_c.
struct LogSum {
  float top, log_total;
};

/// Of the row that begins at x, in all members of its team: the block if `wide`, else `team` neighbouring lanes, a
/// power of two up to 32. All threads must call it.
template <bool wide, typename T>
__device__ LogSum log_sum(const ClassRows& rows, int team, int member, const T* x) {
  float top = -INFINITY;
  for (int c = member; c < rows.classes; c += team) top = fmaxf(top, static_cast<float>(x[c * rows.stride]));
  top = wide ? block_max(top) : warp_max(top, team);
  float total = 0.0f;
  for (int c = member; c < rows.classes; c += team) total += expf(static_cast<float>(x[c * rows.stride]) - top);
  return {top, logf(wide ? block_sum(total) : warp_sum(total, team))};
}

/// Each row is shared by a team, as in log_sum().
template <bool wide, typename T, typename Label>
__global__ void __launch_bounds__(1024)
    cross_entropy_kernel(ClassRows rows, int team, const T* logits, const Label* target, const float* smoothing,
                         const float* weights, float* lse, Weighted* partial, float* loss) {
  const auto team_sum = [&](float value) { return wide ? block_sum(value) : warp_sum(value, team); };
  const int member = threadIdx.x % team, teams = blockDim.x / team;
  const float s = *smoothing;
  Weighted sum{};
  for (std::int64_t first = static_cast<std::int64_t>(blockIdx.x) * teams; first < rows.count;
       first += static_cast<std::int64_t>(gridDim.x) * teams) {
    const std::int64_t own = first + threadIdx.x / team;
    const std::int64_t row = own < rows.count ? own : first;  // those without a row keep the others company
    const T* x = logits + rows.start(row);
    const int label = label_at(target, row, rows.classes);
    const float weight = weight_of(weights, label);
    const float x_label = label < 0 ? 0.0f : static_cast<float>(x[label * rows.stride]);

    // With z = x - top: log p_c = z_c - log sum_k e^z_k
    const auto [top, log_total] = log_sum<wide>(rows, team, member, x);
    float all_weights = 0.0f, weighted = 0.0f;
    if (s != 0.0f) {
      for (int c = member; c < rows.classes; c += team) {
        const float w = weights ? weights[c] : 1.0f;
        all_weights += w;
        weighted += w * (static_cast<float>(x[c * rows.stride]) - top);
      }
      all_weights = team_sum(all_weights);
      weighted = team_sum(weighted);
    }
    if (own != row || member != 0) continue;
    lse[row] = top + log_total;
    sum.loss += (1.0 - s) * weight * (static_cast<double>(log_total) - (x_label - top));
    if (s != 0.0f)
      sum.loss += static_cast<double>(s) / rows.classes * (static_cast<double>(log_total) * all_weights - weighted);
    sum.weight += weight;
  }
  deliver(block_sum(sum), partial, loss, WeightedMean());
}

template <typename T, typename Label>
__global__ void __launch_bounds__(1024) nll_kernel(ClassRows rows, const T* log_p, const Label* target,
                                                   const float* weights, Weighted* partial, float* loss) {
  const std::int64_t stride = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  Weighted sum{};
  for (std::int64_t row = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; row < rows.count;
       row += stride) {
    const int label = label_at(target, row, rows.classes);
    const float weight = weight_of(weights, label);
    const float own = label < 0 ? 0.0f : static_cast<float>(log_p[rows.start(row) + label * rows.stride]);
    sum.loss -= static_cast<double>(weight) * own;
    sum.weight += weight;
  }
  deliver(block_sum(sum), partial, loss, WeightedMean());
}

/// sum_i w[t_i] over rows [begin, count) in steps of `stride`, by the whole block.
template <typename Label>
__device__ double target_weights(const ClassRows& rows, const Label* target, const float* weights, std::int64_t begin,
                                 std::int64_t stride) {
  double sum = 0.0;
  for (std::int64_t row = begin; row < rows.count; row += stride)
    sum += weight_of(weights, label_at(target, row, rows.classes));
  return block_sum(sum);
}

/// partial[b] = the share of block b of sum_i w[t_i]; after them sum_c w[c].
template <typename Label>
__global__ void target_weights_kernel(ClassRows rows, const Label* target, const float* weights, double* partial) {
  const std::int64_t stride = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  const double sum =
      target_weights(rows, target, weights, static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x, stride);
  if (threadIdx.x == 0) partial[blockIdx.x] = sum;
  if (blockIdx.x != 0) return;
  double all = 0.0;
  for (int c = threadIdx.x; c < rows.classes; c += blockDim.x) all += weights[c];
  all = block_sum(all);
  if (threadIdx.x == 0) partial[gridDim.x] = all;
}

struct GradientOperands {
  const float *smoothing, *weights, *lse, *dloss;  ///< smoothing and lse: cross-entropy's; weights and lse may be null
  const double* partial;                           ///< of target_weights_kernel, or null: each block sums for itself
  int partials;
};

/// With a_c = (1 - s) w[t] [c = t] + s/C w[c]: dx_c = dloss / sum_i w[t_i] (p_c sum_k a_k - a_c) if `softmax`; of nll:
/// -dloss / sum_i w[t_i] w[t] [c = t]. Without lse, which is then computed as by the loss, a team is of one warp.
template <bool softmax, typename T, typename Label>
__global__ void __launch_bounds__(256)
    class_gradient_kernel(ClassRows rows, int team, const T* x, const Label* target, GradientOperands o, T* dx) {
  double total = static_cast<double>(rows.count), all = rows.classes;
  if (o.partial) {
    total = block_total(o.partial, o.partials);
    all = o.partial[o.partials];
  } else if (o.weights) {
    total = target_weights(rows, target, o.weights, threadIdx.x, blockDim.x);
    all = block_total(o.weights, rows.classes);
  }
  const float factor = static_cast<float>(*o.dloss / total);
  const float s = softmax ? *o.smoothing : 0.0f;
  const float spread = s / static_cast<float>(rows.classes);
  const int member = threadIdx.x % team, teams = blockDim.x / team;
  for (std::int64_t first = static_cast<std::int64_t>(blockIdx.x) * teams; first < rows.count;
       first += static_cast<std::int64_t>(gridDim.x) * teams) {
    const std::int64_t own = first + threadIdx.x / team;
    const std::int64_t row = own < rows.count ? own : first;  // as in cross_entropy_kernel
    const std::int64_t start = rows.start(row);
    const int label = label_at(target, row, rows.classes);
    float lse = 0.0f;
    if (softmax && o.lse) {
      lse = o.lse[row];
    } else if (softmax) {
      const LogSum sum = log_sum<false>(rows, team, member, x + start);
      lse = sum.top + sum.log_total;
    }
    if (own != row) continue;
    const float of_target = (1.0f - s) * weight_of(o.weights, label);
    const float of_all = of_target + spread * static_cast<float>(all);
    for (int c = member; c < rows.classes; c += team) {
      const std::int64_t i = start + c * rows.stride;
      float slope = c == label ? -of_target : label < 0 ? NAN : 0.0f;
      if (softmax) slope += expf(static_cast<float>(x[i]) - lse) * of_all - spread * (o.weights ? o.weights[c] : 1.0f);
      dx[i] = static_cast<T>(factor * slope);
    }
  }
}

struct Forward {
  ClassRows rows;
  bool wide = false;
  int team = 1;
  SumGrid grid;
};

Forward cross_entropy_launch(const KernelRequest& request, const Layout& layout) {
  Forward f;
  f.rows = class_rows(*request.inputs[0], layout);
  f.wide = f.rows.stride == 1 && f.rows.classes > widest_of_warp;
  if (f.wide) {
    f.grid = {static_cast<int>(std::clamp<std::int64_t>(f.rows.count, 1, 1024)), 256};
    f.team = f.grid.threads;
    return f;
  }
  f.team = threads_per_row(f.rows, 32);
  f.grid = sum_grid(f.rows.count * f.rows.classes, f.rows.count, 256 / f.team);
  if (f.grid.blocks == 1)  // no more threads than rows need
    f.grid.threads = static_cast<int>(std::clamp<std::int64_t>((f.rows.count * f.team + 31) / 32 * 32, 32, 1024));
  return f;
}

SumGrid nll_grid(const ClassRows& rows) {
  return sum_grid(rows.count, rows.count, 1024);
}

/// Blocks of target_weights_kernel; 0 where each block of the gradient sums the weights of all targets for itself.
int weight_blocks(const KernelRequest& request, const ClassRows& rows) {
  const std::size_t weights = request.op == "nll_backward" ? 2 : 3;
  if (!request.has(weights) || rows.count + rows.classes <= 4096) return 0;
  return static_cast<int>(std::clamp<std::int64_t>(rows.count / 2048, 1, 256));
}

/// Where lse is left out of the gradient.
bool without_lse(const KernelRequest& request) {
  return request.op == "softmax_cross_entropy_backward" && !request.has(4);
}

/// Scores up to which the gradient computes lse itself rather than wait for the loss, and has memory of its own, since
/// the loss may still read the scores.
constexpr std::int64_t few_scores = 1 << 18;

std::optional<KernelPlan> plan(const KernelRequest& request) {
  if (!class_rows_fit(request)) return std::nullopt;
  const Layout layout = class_layout(request);
  const ClassRows rows = class_rows(*request.inputs[0], layout);
  if (without_lse(request) && (rows.classes > widest_of_warp || rows.count * rows.classes > few_scores))
    return std::nullopt;
  KernelPlan plan = KernelPlan::row_major(request, "cuda");
  plan.inputs[0] = layout;
  if (request.op == "softmax_cross_entropy") {
    plan.workspace_bytes = cross_entropy_launch(request, layout).grid.workspace<Weighted>();
  } else if (request.op == "nll") {
    plan.workspace_bytes = nll_grid(rows).workspace<Weighted>();
  } else {
    plan.outputs[0] = layout;
    if (request.op == "softmax_cross_entropy_backward" && request.has(4)) plan.in_place = {{0, 0}};
    if (const int blocks = weight_blocks(request, rows)) plan.workspace_bytes = (blocks + 1) * sizeof(double);
  }
  return plan;
}

template <typename T, typename Label>
std::unique_ptr<Launch> cross_entropy(const KernelRequest& request, const KernelPlan& plan) {
  const Forward f = cross_entropy_launch(request, plan.inputs[0]);
  const bool weighted = request.has(3);
  const auto kernel = f.wide ? cross_entropy_kernel<true, T, Label> : cross_entropy_kernel<false, T, Label>;
  return make_launch([=](const LaunchArguments& a) {
    const float* weights = weighted ? in<float>(a, 3) : nullptr;
    kernel<<<f.grid.blocks, f.grid.threads, 0, stream_of(a)>>>(f.rows, f.team, in<T>(a, 0), in<Label>(a, 1),
                                                               in<float>(a, 2), weights, out<float>(a, 1),
                                                               f.grid.partial<Weighted>(a), out<float>(a, 0));
    finish<Weighted>(f.grid, a, out<float>(a, 0), WeightedMean());
  });
}

template <typename T, typename Label>
std::unique_ptr<Launch> nll(const KernelRequest& request, const KernelPlan& plan) {
  const ClassRows rows = class_rows(*request.inputs[0], plan.inputs[0]);
  const SumGrid grid = nll_grid(rows);
  const bool weighted = request.has(2);
  return make_launch([=](const LaunchArguments& a) {
    const float* weights = weighted ? in<float>(a, 2) : nullptr;
    nll_kernel<<<grid.blocks, grid.threads, 0, stream_of(a)>>>(rows, in<T>(a, 0), in<Label>(a, 1), weights,
                                                               grid.partial<Weighted>(a), out<float>(a, 0));
    finish<Weighted>(grid, a, out<float>(a, 0), WeightedMean());
  });
}

template <bool softmax, typename T, typename Label>
std::unique_ptr<Launch> gradient(const KernelRequest& request, const KernelPlan& plan) {
  constexpr int threads = 256, weights = softmax ? 3 : 2;
  const ClassRows rows = class_rows(*request.inputs[0], plan.inputs[0]);
  const int team = threads_per_row(rows, without_lse(request) ? 32 : threads);
  const int blocks = grid(rows.count, threads / team);
  const int partials = weight_blocks(request, rows);
  return make_launch([=](const LaunchArguments& a) {
    GradientOperands o{};
    o.weights = in<float>(a, weights);
    if (softmax) o.smoothing = in<float>(a, 2);
    if (softmax) o.lse = in<float>(a, 4);  // null where it is left out
    o.dloss = in<float>(a, softmax ? 5 : 3);
    if (partials) {
      double* partial = static_cast<double*>(a.workspace);
      target_weights_kernel<<<partials, threads, 0, stream_of(a)>>>(rows, in<Label>(a, 1), o.weights, partial);
      o.partial = partial;
      o.partials = partials;
    }
    class_gradient_kernel<softmax>
        <<<blocks, threads, 0, stream_of(a)>>>(rows, team, in<T>(a, 0), in<Label>(a, 1), o, out<T>(a, 0));
  });
}

std::unique_ptr<Launch> prepare(const KernelRequest& request, const KernelPlan& plan) {
  return with_float(request.inputs[0]->dtype, [&](auto score) {
    return with_label(request.inputs[1]->dtype, [&](auto label) {
      using T = decltype(score);
      using Label = decltype(label);
      if (request.op == "softmax_cross_entropy") return cross_entropy<T, Label>(request, plan);
      if (request.op == "nll") return nll<T, Label>(request, plan);
      if (request.op == "nll_backward") return gradient<false, T, Label>(request, plan);
      return gradient<true, T, Label>(request, plan);
    });
  });
}

const RegisterCuda registered[] = {{"softmax_cross_entropy", plan, prepare},
                                   {"softmax_cross_entropy_backward", plan, prepare},
                                   {"nll", plan, prepare},
                                   {"nll_backward", plan, prepare}};

}  // namespace
}  // namespace trainctl::cuda
