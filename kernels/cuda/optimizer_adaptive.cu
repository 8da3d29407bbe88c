// adagrad, adadelta, lion, lamb_direction: one pass over a group's flat buffers, in place. trust_step: two launches.
#include <algorithm>
#include <cmath>

#include "kernels/cuda/optimizer.cuh"
#include "ops/optimizer.h"

namespace trainctl::cuda {
namespace {

using namespace optimizers;

struct AdagradRule {
  float rate, decay, g_scale, eps;
  __device__ void operator()(float gradient, float (&slot)[2]) const {
    const float g = g_scale * gradient + decay * slot[0];
    slot[1] += g * g;
    slot[0] -= rate * (g / (sqrtf(slot[1]) + eps));
  }
};

__global__ void __launch_bounds__(threads, blocks_per_multiprocessor)
    adagrad_kernel(Buffers<2> buffers, Rates r, double lr_decay, double eps, const std::int64_t* t_before,
                   std::int64_t* t_after, unsigned* ticket) {
  const std::int64_t t = *static_cast<const volatile std::int64_t*>(t_before);
  const bool enabled = r.enabled();
  update_all(buffers, enabled, [&] {
    const double rate = *r.lr / (1.0 + static_cast<double>(t) * lr_decay);
    return AdagradRule{static_cast<float>(rate), *r.weight_decay, r.scale(), static_cast<float>(eps)};
  });
  count_step(enabled ? t + 1 : t, t_after, ticket);
}

struct AdadeltaRule {
  float lr, decay, g_scale, rho, rest, eps;
  __device__ void operator()(float gradient, float (&slot)[3]) const {
    const float g = g_scale * gradient + decay * slot[0];
    slot[1] = rho * slot[1] + rest * (g * g);
    const float d = sqrtf(slot[2] + eps) / sqrtf(slot[1] + eps) * g;
    slot[2] = rho * slot[2] + rest * (d * d);
    slot[0] -= lr * d;
  }
};

__global__ void __launch_bounds__(threads, blocks_per_multiprocessor)
    adadelta_kernel(Buffers<3> buffers, Rates r, double rho, double eps) {
  update_all(buffers, r.enabled(), [&] {
    return AdadeltaRule{*r.lr,
                        *r.weight_decay,
                        r.scale(),
                        static_cast<float>(rho),
                        static_cast<float>(1.0 - rho),
                        static_cast<float>(eps)};
  });
}

struct LionRule {
  float lr, decay, g_scale, beta1, rest1, beta2, rest2;
  __device__ void operator()(float gradient, float (&slot)[2]) const {
    const float g = g_scale * gradient;
    const float c = beta1 * slot[1] + rest1 * g;
    const float sign = c > 0.0f ? 1.0f : c < 0.0f ? -1.0f : c;  // keeps NaN
    slot[0] -= lr * (sign + decay * slot[0]);
    slot[1] = beta2 * slot[1] + rest2 * g;
  }
};

__global__ void __launch_bounds__(threads, blocks_per_multiprocessor)
    lion_kernel(Buffers<2> buffers, Rates r, double beta1, double beta2) {
  update_all(buffers, r.enabled(), [&] {
    return LionRule{*r.lr,
                    *r.weight_decay,
                    r.scale(),
                    static_cast<float>(beta1),
                    static_cast<float>(1.0 - beta1),
                    static_cast<float>(beta2),
                    static_cast<float>(1.0 - beta2)};
  });
}

/// Slot 0 comes as p and goes as r.
struct LambRule {
  bool enabled;
  float step, root_correction;  ///< 1 / (1 - beta1^t), sqrt(1 - beta2^t)
  float decay, g_scale, beta1, rest1, beta2, rest2, eps;
  __device__ void operator()(float gradient, float (&slot)[3]) const {
    if (!enabled) {
      slot[0] = 0.0f;
      return;
    }
    const float g = g_scale * gradient;
    slot[1] = beta1 * slot[1] + rest1 * g;
    slot[2] = beta2 * slot[2] + rest2 * (g * g);
    slot[0] = step * (slot[1] / (sqrtf(slot[2]) / root_correction + eps)) + decay * slot[0];
  }
};

struct LambNumbers {
  double beta1, beta2, eps;
};

__global__ void __launch_bounds__(threads, blocks_per_multiprocessor)
    lamb_kernel(Buffers<3> buffers, Rates r, LambNumbers lamb, const std::int64_t* t_before, std::int64_t* t_after,
                unsigned* ticket) {
  __shared__ float step, root_correction;
  const std::int64_t t = *static_cast<const volatile std::int64_t*>(t_before);
  const bool enabled = r.enabled();
  update_all(buffers, true, [&] {
    const double now = static_cast<double>(t + 1);
    // Powers in f64 are slow: one thread each, of different warps.
    if (threadIdx.x == 0) step = static_cast<float>(1.0 / (1.0 - pow(lamb.beta1, now)));
    if (threadIdx.x == 32) root_correction = static_cast<float>(sqrt(1.0 - pow(lamb.beta2, now)));
    __syncthreads();
    return LambRule{enabled,
                    step,
                    root_correction,
                    *r.weight_decay,
                    r.scale(),
                    static_cast<float>(lamb.beta1),
                    static_cast<float>(1.0 - lamb.beta1),
                    static_cast<float>(lamb.beta2),
                    static_cast<float>(1.0 - lamb.beta2),
                    static_cast<float>(lamb.eps)};
  });
  count_step(enabled ? t + 1 : t, t_after, ticket);
}

/// Block (part, k) sums squares of a part of tensor k.
struct Squares {
  double of_p, of_r;
};

__global__ void __launch_bounds__(threads)
    trust_squares_kernel(const float* p, const float* r, const std::int64_t* bounds, std::int64_t tensors,
                         Squares* partial) {
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * threads;
  for (std::int64_t k = blockIdx.y; k < tensors; k += gridDim.y) {
    double of_p = 0.0, of_r = 0.0;
    const std::int64_t end = bounds[k + 1];
    for (std::int64_t i = bounds[k] + static_cast<std::int64_t>(blockIdx.x) * threads + threadIdx.x; i < end;
         i += step) {
      const double a = p[i], b = r[i];
      of_p += a * a;
      of_r += b * b;
    }
    of_p = block_sum(of_p);
    of_r = block_sum(of_r);
    if (threadIdx.x == 0) partial[k * gridDim.x + blockIdx.x] = {of_p, of_r};
  }
}

/// The same blocks: each adds up the tensor's squares in their order, and moves its part.
__global__ void __launch_bounds__(threads)
    trust_step_kernel(const float* p, const float* r, const std::int64_t* bounds, std::int64_t tensors, const float* lr,
                      const Squares* partial, float* p_after, __nv_bfloat16* copy) {
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * threads;
  for (std::int64_t k = blockIdx.y; k < tensors; k += gridDim.y) {
    double of_p = 0.0, of_r = 0.0;
    for (unsigned part = 0; part < gridDim.x; ++part) {
      of_p += partial[k * gridDim.x + part].of_p;
      of_r += partial[k * gridDim.x + part].of_r;
    }
    const double ratio = of_p == 0.0 || of_r == 0.0 ? 1.0 : sqrt(of_p) / sqrt(of_r);
    const float rate = static_cast<float>(*lr * ratio);
    const std::int64_t end = bounds[k + 1];
    for (std::int64_t i = bounds[k] + static_cast<std::int64_t>(blockIdx.x) * threads + threadIdx.x; i < end;
         i += step) {
      const float after = p[i] - rate * r[i];
      p_after[i] = after;
      if (copy) copy[i] = static_cast<__nv_bfloat16>(after);
    }
  }
}

bool takes(const KernelRequest& request) {
  return request.inputs[0]->dtype == DType::f32 && request.inputs[1]->dtype == DType::f32;
}

template <int... pairs>
std::optional<KernelPlan> plan_in_place(const KernelRequest& request) {
  if (!takes(request)) return std::nullopt;
  KernelPlan plan = KernelPlan::row_major(request, "cuda");
  if (request.op != "lamb_direction") plan.bf16_copy = KernelPlan::Bf16Copy::offered;
  int output = 0;
  for (const int input : {pairs...}) plan.in_place.push_back({output++, input});
  return plan;
}

std::unique_ptr<Launch> prepare_adagrad(const KernelRequest& request, const KernelPlan& plan) {
  const auto& own = as<AdagradAttributes>(*request.attributes);
  const double lr_decay = own.lr_decay, eps = own.eps;
  const Operands<2> o{{0, 2},       4, 5, -1, if_given(request, 6), if_given(request, 7), request.inputs[0]->elements(),
                      copy_of(plan)};
  const int blocks = o.blocks();
  const auto ticket = std::make_shared<Ticket>();
  return make_launch([=](const LaunchArguments& a) {
    adagrad_kernel<<<blocks, threads, 0, stream_of(a)>>>(
        o.buffers(a), o.rates(a), lr_decay, eps, in<std::int64_t>(a, 3), out<std::int64_t>(a, 2), ticket->counter());
  });
}

std::unique_ptr<Launch> prepare_adadelta(const KernelRequest& request, const KernelPlan& plan) {
  const auto& own = as<AdadeltaAttributes>(*request.attributes);
  const double rho = own.rho, eps = own.eps;
  const Operands<3> o{{0, 2, 3},    4, 5, -1, if_given(request, 6), if_given(request, 7), request.inputs[0]->elements(),
                      copy_of(plan)};
  const int blocks = o.blocks();
  return make_launch([=](const LaunchArguments& a) {
    adadelta_kernel<<<blocks, threads, 0, stream_of(a)>>>(o.buffers(a), o.rates(a), rho, eps);
  });
}

std::unique_ptr<Launch> prepare_lion(const KernelRequest& request, const KernelPlan& plan) {
  const auto& own = as<LionAttributes>(*request.attributes);
  const double beta1 = own.beta1, beta2 = own.beta2;
  const Operands<2> o{{0, 2},       3, 4, -1, if_given(request, 5), if_given(request, 6), request.inputs[0]->elements(),
                      copy_of(plan)};
  const int blocks = o.blocks();
  return make_launch([=](const LaunchArguments& a) {
    lion_kernel<<<blocks, threads, 0, stream_of(a)>>>(o.buffers(a), o.rates(a), beta1, beta2);
  });
}

std::unique_ptr<Launch> prepare_lamb(const KernelRequest& request, const KernelPlan& plan) {
  const auto& own = as<LambAttributes>(*request.attributes);
  const LambNumbers lamb{own.beta1, own.beta2, own.eps};
  const Operands<3> o{
      {0, 2, 3}, -1, 5, -1, if_given(request, 6), if_given(request, 7), request.inputs[0]->elements(), copy_of(plan)};
  const int blocks = o.blocks();
  const auto ticket = std::make_shared<Ticket>();
  return make_launch([=](const LaunchArguments& a) {
    lamb_kernel<<<blocks, threads, 0, stream_of(a)>>>(o.buffers(a), o.rates(a), lamb, in<std::int64_t>(a, 4),
                                                      out<std::int64_t>(a, 3), ticket->counter());
  });
}

/// Blocks of trust_step: parts of a tensor, and tensors. They depend on sizes alone.
dim3 trust_blocks(const KernelRequest& request) {
  constexpr std::int64_t most_parts = 64, most_tensors = 65535;
  const std::int64_t parts = std::clamp<std::int64_t>(request.inputs[0]->elements() / (16 * threads), 1, most_parts);
  const std::int64_t tensors = std::min(request.inputs[2]->elements() - 1, most_tensors);
  return dim3(static_cast<unsigned>(parts), static_cast<unsigned>(tensors));
}

std::optional<KernelPlan> plan_trust_step(const KernelRequest& request) {
  if (!takes(request)) return std::nullopt;
  KernelPlan plan = KernelPlan::row_major(request, "cuda");
  plan.in_place = {{0, 0}, {0, 1}};
  plan.bf16_copy = KernelPlan::Bf16Copy::offered;
  const auto tensors = static_cast<std::size_t>(request.inputs[2]->elements() - 1);
  plan.workspace_bytes = tensors * trust_blocks(request).x * sizeof(Squares);
  return plan;
}

std::unique_ptr<Launch> prepare_trust_step(const KernelRequest& request, const KernelPlan& plan) {
  const dim3 blocks = trust_blocks(request);
  const std::int64_t tensors = request.inputs[2]->elements() - 1;
  const int copy = copy_of(plan);
  return make_launch([=](const LaunchArguments& a) {
    const float *p = in<float>(a, 0), *r = in<float>(a, 1);
    const std::int64_t* bounds = in<std::int64_t>(a, 2);
    Squares* partial = static_cast<Squares*>(a.workspace);
    trust_squares_kernel<<<blocks, threads, 0, stream_of(a)>>>(p, r, bounds, tensors, partial);
    trust_step_kernel<<<blocks, threads, 0, stream_of(a)>>>(p, r, bounds, tensors, in<float>(a, 3), partial,
                                                            out<float>(a, 0),
                                                            copy < 0 ? nullptr : out<__nv_bfloat16>(a, copy));
  });
}

const RegisterCuda registered[] = {{"adagrad", plan_in_place<0, 2, 3>, prepare_adagrad},
                                   {"adadelta", plan_in_place<0, 2, 3>, prepare_adadelta},
                                   {"lion", plan_in_place<0, 2>, prepare_lion},
                                   {"lamb_direction", plan_in_place<1, 2, 3, 4>, prepare_lamb},
                                   {"trust_step", plan_trust_step, prepare_trust_step}};

}  // namespace
}  // namespace trainctl::cuda
