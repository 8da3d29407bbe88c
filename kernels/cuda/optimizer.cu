// sgd, adam, rmsprop: one pass over a group's flat buffers, in place.
#include "ops/optimizer.h"

#include <cmath>

#include "kernels/cuda/optimizer.cuh"

namespace trainctl::cuda {
namespace {

using namespace optimizers;

template <bool buffered>
struct SgdRule {
  float lr, decay, momentum, g_scale;
  bool nesterov;
  __device__ void operator()(float gradient, float (&slot)[1 + buffered]) const {
    float g = g_scale * gradient + decay * slot[0];
    if constexpr (buffered) {
      slot[1] = momentum * slot[1] + g;
      g = nesterov ? g + momentum * slot[1] : slot[1];
    }
    slot[0] -= lr * g;
  }
};

template <bool buffered>
__global__ void __launch_bounds__(threads, blocks_per_multiprocessor)
    sgd_kernel(Buffers<1 + buffered> buffers, Rates r, bool nesterov) {
  update_all(buffers, r.enabled(), [&] {
    return SgdRule<buffered>{*r.lr, *r.weight_decay, *r.momentum, r.scale(), nesterov};
  });
}

struct AdamRule {
  float step, root_correction;  ///< lr / (1 - beta1^t), sqrt(1 - beta2^t)
  float g_scale, coupled_decay, shrink;
  float beta1, rest1, beta2, rest2, eps;
  __device__ void operator()(float gradient, float (&slot)[3]) const {
    const float g = g_scale * gradient + coupled_decay * slot[0];
    slot[1] = beta1 * slot[1] + rest1 * g;
    slot[2] = beta2 * slot[2] + rest2 * (g * g);
    slot[0] = shrink * slot[0] - step * (slot[1] / (sqrtf(slot[2]) / root_correction + eps));
  }
};

struct AdamNumbers {
  double beta1, beta2, eps;
  bool decoupled;
};

__global__ void __launch_bounds__(threads, blocks_per_multiprocessor)
    adam_kernel(Buffers<3> buffers, Rates r, AdamNumbers adam, const std::int64_t* t_before, std::int64_t* t_after,
                unsigned* ticket) {
  __shared__ float step, root_correction;
  const std::int64_t t = *static_cast<const volatile std::int64_t*>(t_before);
  const bool enabled = r.enabled();
  update_all(buffers, enabled, [&] {
    const double lr = *r.lr, decay = *r.weight_decay, now = static_cast<double>(t + 1);
    // Powers in f64 are slow: one thread each, of different warps.
    if (threadIdx.x == 0) step = static_cast<float>(lr / (1.0 - pow(adam.beta1, now)));
    if (threadIdx.x == 32) root_correction = static_cast<float>(sqrt(1.0 - pow(adam.beta2, now)));
    __syncthreads();
    return AdamRule{step,
                    root_correction,
                    r.scale(),
                    adam.decoupled ? 0.0f : static_cast<float>(decay),
                    adam.decoupled ? static_cast<float>(1.0 - lr * decay) : 1.0f,
                    static_cast<float>(adam.beta1),
                    static_cast<float>(1.0 - adam.beta1),
                    static_cast<float>(adam.beta2),
                    static_cast<float>(1.0 - adam.beta2),
                    static_cast<float>(adam.eps)};
  });
  count_step(enabled ? t + 1 : t, t_after, ticket);
}

template <bool centered, bool buffered>
struct RmsPropRule {
  float lr, decay, momentum, g_scale, alpha, rest, eps;
  __device__ void operator()(float gradient, float (&slot)[2 + centered + buffered]) const {
    const float g = g_scale * gradient + decay * slot[0];
    slot[1] = alpha * slot[1] + rest * (g * g);
    float spread = slot[1];
    if constexpr (centered) {
      slot[2] = alpha * slot[2] + rest * g;
      const float least = static_cast<float>(RmsPropAttributes::least_spread) * slot[1];
      spread = slot[1] - slot[2] * slot[2];
      spread = spread < least ? least : spread;  // keeps NaN
    }
    float d = g / (sqrtf(spread) + eps);
    if constexpr (buffered) d = slot[2 + centered] = momentum * slot[2 + centered] + d;
    slot[0] -= lr * d;
  }
};

template <bool centered, bool buffered>
__global__ void __launch_bounds__(threads, blocks_per_multiprocessor)
    rmsprop_kernel(Buffers<2 + centered + buffered> buffers, Rates r, double alpha, double eps) {
  update_all(buffers, r.enabled(), [&] {
    return RmsPropRule<centered, buffered>{*r.lr,
                                           *r.weight_decay,
                                           *r.momentum,
                                           r.scale(),
                                           static_cast<float>(alpha),
                                           static_cast<float>(1.0 - alpha),
                                           static_cast<float>(eps)};
  });
}

std::optional<KernelPlan> plan_optimizer(const KernelRequest& request) {
  if (request.inputs[0]->dtype != DType::f32 || request.inputs[1]->dtype != DType::f32) return std::nullopt;
  KernelPlan plan = KernelPlan::row_major(request, "cuda");
  plan.in_place = {{0, 0}};
  plan.bf16_copy = KernelPlan::Bf16Copy::offered;
  if (request.op == "sgd" && request.has(2)) plan.in_place.push_back({1, 2});
  if (request.op == "adam") plan.in_place = {{0, 0}, {1, 2}, {2, 3}, {3, 4}};
  if (request.op == "rmsprop") {
    plan.in_place.push_back({1, 2});
    if (request.has(3)) plan.in_place.push_back({2, 3});
    if (request.has(4)) plan.in_place.push_back({request.has(3) ? 3 : 2, 4});
  }
  return plan;
}

template <bool buffered>
std::unique_ptr<Launch> sgd(const KernelRequest& request, const KernelPlan& plan) {
  const bool nesterov = as<SgdAttributes>(*request.attributes).nesterov;
  Operands<1 + buffered> o{
      {0}, 3, 4, 5, if_given(request, 6), if_given(request, 7), request.inputs[0]->elements(), copy_of(plan)};
  if constexpr (buffered) o.from[1] = 2;
  const int blocks = o.blocks();
  return make_launch([=](const LaunchArguments& a) {
    sgd_kernel<buffered><<<blocks, threads, 0, stream_of(a)>>>(o.buffers(a), o.rates(a), nesterov);
  });
}

std::unique_ptr<Launch> prepare_sgd(const KernelRequest& request, const KernelPlan& plan) {
  return request.has(2) ? sgd<true>(request, plan) : sgd<false>(request, plan);
}

std::unique_ptr<Launch> prepare_adam(const KernelRequest& request, const KernelPlan& plan) {
  const auto& attributes = as<AdamAttributes>(*request.attributes);
  const AdamNumbers adam{attributes.beta1, attributes.beta2, attributes.eps, attributes.decoupled};
  const Operands<3> o{{0, 2, 3},    5, 6, -1, if_given(request, 7), if_given(request, 8), request.inputs[0]->elements(),
                      copy_of(plan)};
  const int blocks = o.blocks();
  const auto ticket = std::make_shared<Ticket>();
  return make_launch([=](const LaunchArguments& a) {
    adam_kernel<<<blocks, threads, 0, stream_of(a)>>>(o.buffers(a), o.rates(a), adam, in<std::int64_t>(a, 4),
                                                      out<std::int64_t>(a, 3), ticket->counter());
  });
}

template <bool centered, bool buffered>
std::unique_ptr<Launch> rmsprop(const KernelRequest& request, const KernelPlan& plan) {
  const auto& own = as<RmsPropAttributes>(*request.attributes);
  const double alpha = own.alpha, eps = own.eps;
  Operands<2 + centered + buffered> o{
      {0, 2}, 5, 6, 7, if_given(request, 8), if_given(request, 9), request.inputs[0]->elements(), copy_of(plan)};
  if constexpr (centered) o.from[2] = 3;
  if constexpr (buffered) o.from[2 + centered] = 4;
  const int blocks = o.blocks();
  return make_launch([=](const LaunchArguments& a) {
    rmsprop_kernel<centered, buffered><<<blocks, threads, 0, stream_of(a)>>>(o.buffers(a), o.rates(a), alpha, eps);
  });
}

std::unique_ptr<Launch> prepare_rmsprop(const KernelRequest& request, const KernelPlan& plan) {
  if (request.has(3)) return request.has(4) ? rmsprop<true, true>(request, plan) : rmsprop<true, false>(request, plan);
  return request.has(4) ? rmsprop<false, true>(request, plan) : rmsprop<false, false>(request, plan);
}

const RegisterCuda registered[] = {{"sgd", plan_optimizer, prepare_sgd},
                                   {"adam", plan_optimizer, prepare_adam},
                                   {"rmsprop", plan_optimizer, prepare_rmsprop}};

}  // namespace
}  // namespace trainctl::cuda
