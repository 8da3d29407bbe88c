// pointwise_loss, its gradient, absolute_error_sum: sums over pairs of numbers.
#include "kernels/cuda/reduce.cuh"
#include "ops/loss.h"

namespace trainctl::cuda {
namespace {

using Kind = PointwiseLossAttributes::Kind;

__device__ float logistic(float x) {
  return 1.0f / (1.0f + expf(-x));
}

__device__ float binary_cross_entropy(float p, float t) {
  return (p < 0.0f ? 0.0f : p) - p * t + log1pf(expf(-fabsf(p)));
}

struct Distance {
  Kind kind;
  float delta, gamma, alpha;

  /// The focal loss's factor of the cross-entropy, and its derivative.
  struct Focus {
    float weight, slope;
  };
  __device__ Focus focus(float p, float t) const {
    const float s = logistic(p), rest = logistic(-p);
    const float a = alpha < 0.0f ? 1.0f : alpha * t + (1.0f - alpha) * (1.0f - t);
    const float miss = s * (1.0f - t) + rest * t;
    if (gamma == 0.0f) return {a, 0.0f};
    const float below = miss <= 0.0f ? 0.0f : powf(miss, gamma - 1.0f);
    return {a * below * miss, a * gamma * below * (1.0f - 2.0f * t) * s * rest};
  }
  __device__ float value(float p, float t) const {
    const float d = p - t, size = fabsf(d);
    switch (kind) {
      case Kind::squared:
        return d * d;
      case Kind::absolute:
        return size;
      case Kind::huber:
        return size <= delta ? 0.5f * d * d : delta * (size - 0.5f * delta);
      case Kind::focal:
        return focus(p, t).weight * binary_cross_entropy(p, t);
      case Kind::kl_div:
        return t == 0.0f ? 0.0f : t * (logf(t) - p);
      case Kind::kl_div_log:
        return expf(t) * (t - p);
      case Kind::bce_with_logits:
        break;
    }
    return binary_cross_entropy(p, t);
  }
  /// d value / dp
  __device__ float slope(float p, float t) const {
    const float d = p - t;
    switch (kind) {
      case Kind::squared:
        return 2.0f * d;
      case Kind::absolute:
        return d > 0.0f ? 1.0f : d < 0.0f ? -1.0f : d;  // keeps NaN
      case Kind::huber:
        return d > delta ? delta : d < -delta ? -delta : d;
      case Kind::focal: {
        const Focus f = focus(p, t);
        return f.weight * (logistic(p) - t) + f.slope * binary_cross_entropy(p, t);
      }
      case Kind::kl_div:
        return -t;
      case Kind::kl_div_log:
        return -expf(t);
      case Kind::bce_with_logits:
        break;
    }
    return logistic(p) - t;
  }
};

struct Mean {
  double count;
  __device__ float operator()(double total) const { return static_cast<float>(total / count); }
};

/// What the two sums add up.
struct LossTerm {
  Distance distance;
  __device__ double operator()(float p, float t) const { return distance.value(p, t); }
};
struct AbsoluteError {
  __device__ double operator()(float p, float t) const { return fabs(static_cast<double>(p) - t); }
};

template <typename T, typename Term, typename Out, typename Finish>
__global__ void __launch_bounds__(1024)
    pair_sum_kernel(const T* p, const T* t, std::int64_t n, Term term, double* partial, Out* out, Finish finish) {
  const std::int64_t stride = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  double sum = 0.0;
#pragma unroll 4
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < n; i += stride)
    sum += term(static_cast<float>(p[i]), static_cast<float>(t[i]));
  deliver(block_sum(sum), partial, out, finish);
}

template <typename T>
__global__ void slope_kernel(const T* p, const T* t, const float* dloss, T* dp, std::int64_t n, Distance distance) {
  const float factor = static_cast<float>(*dloss / static_cast<double>(n));
  const std::int64_t stride = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < n; i += stride)
    dp[i] = static_cast<T>(factor * distance.slope(static_cast<float>(p[i]), static_cast<float>(t[i])));
}

Distance distance_of(const KernelRequest& request) {
  const auto& attributes = as<PointwiseLossAttributes>(*request.attributes);
  return {attributes.kind, static_cast<float>(attributes.delta), static_cast<float>(attributes.gamma),
          static_cast<float>(attributes.alpha)};
}

SumGrid pair_grid(std::int64_t count) {
  return sum_grid(count, count, 1024);
}

/// Channels-last if both operands lie so.
Layout pair_layout(const KernelRequest& request) {
  const Layout channels_last("acdb");
  const bool both = request.inputs[0]->shape.rank() == 4 && given_layout(request, 0) == channels_last &&
                    given_layout(request, 1) == channels_last;
  return both ? channels_last : Layout();
}

std::optional<KernelPlan> plan(const KernelRequest& request) {
  const DType dtype = request.inputs[0]->dtype;
  if (!is_float(dtype) || request.inputs[1]->dtype != dtype) return std::nullopt;
  KernelPlan plan = KernelPlan::row_major(request, "cuda");
  plan.inputs[0] = plan.inputs[1] = pair_layout(request);
  if (request.op == "pointwise_loss_backward") {
    plan.outputs[0] = plan.inputs[0];
    plan.in_place = {{0, 0}, {0, 1}};
  } else {
    plan.workspace_bytes = pair_grid(request.inputs[0]->elements()).workspace<double>();
  }
  return plan;
}

template <typename T, typename Out, typename Term, typename Finish>
std::unique_ptr<Launch> pair_sum(std::int64_t n, Term term, Finish finish_with) {
  const SumGrid grid = pair_grid(n);
  return make_launch([=](const LaunchArguments& a) {
    pair_sum_kernel<<<grid.blocks, grid.threads, 0, stream_of(a)>>>(
        in<T>(a, 0), in<T>(a, 1), n, term, grid.partial<double>(a), out<Out>(a, 0), finish_with);
    finish<double>(grid, a, out<Out>(a, 0), finish_with);
  });
}

std::unique_ptr<Launch> prepare(const KernelRequest& request, const KernelPlan&) {
  const std::int64_t n = request.inputs[0]->elements();
  return with_float(request.inputs[0]->dtype, [&](auto zero) -> std::unique_ptr<Launch> {
    using T = decltype(zero);
    if (request.op == "absolute_error_sum") return pair_sum<T, double>(n, AbsoluteError(), AsIs());
    const Distance distance = distance_of(request);
    if (request.op == "pointwise_loss") return pair_sum<T, float>(n, LossTerm{distance}, Mean{static_cast<double>(n)});
    constexpr int threads = 256;
    const int blocks = grid(n, threads);
    return make_launch([=](const LaunchArguments& a) {
      slope_kernel<<<blocks, threads, 0, stream_of(a)>>>(in<T>(a, 0), in<T>(a, 1), in<float>(a, 2), out<T>(a, 0), n,
                                                         distance);
    });
  });
}

const RegisterCuda registered[] = {{"pointwise_loss", plan, prepare},
                                   {"pointwise_loss_backward", plan, prepare},
                                   {"absolute_error_sum", plan, prepare}};

}  // namespace
}  // namespace trainctl::cuda
