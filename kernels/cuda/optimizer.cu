// sgd, adam, rmsprop: one pass over a group's flat buffers, in place.
#include "ops/optimizer.h"

#include <cmath>

#include "kernels/cuda/reduce.cuh"

namespace trainctl::cuda {
namespace {

constexpr int threads = 256;
/// Two to four 16-byte loads of each of 1024 threads a multiprocessor are enough to keep the memory busy.
constexpr int blocks_per_multiprocessor = 4;

bool aligned(const void* address) {
  return reinterpret_cast<std::uintptr_t>(address) % sizeof(float4) == 0;
}

/// What an update reads and writes: gradients, and `slots` arrays, the parameters first.
template <int slots>
struct Buffers {
  const float* g;
  const float* from[slots];
  float* to[slots];  ///< may be the same memory as `from`
  std::int64_t count;
  std::int64_t vectors;  ///< how many groups of four elements can be read as such; the rest is done one by one
};

/// Four elements, or one, of everything.
template <int slots, int width>
struct Elements {
  float g[width];
  float slot[slots][width];

  __device__ static void read(const float* from, std::int64_t i, float (&value)[width]) {
    if constexpr (width == 4) {
      const float4 four = reinterpret_cast<const float4*>(from)[i];
      value[0] = four.x, value[1] = four.y, value[2] = four.z, value[3] = four.w;
    } else {
      value[0] = from[i];
    }
  }
  __device__ static void write(float* to, std::int64_t i, const float (&value)[width]) {
    if constexpr (width == 4) {
      reinterpret_cast<float4*>(to)[i] = make_float4(value[0], value[1], value[2], value[3]);
    } else {
      to[i] = value[0];
    }
  }
  __device__ void load(const Buffers<slots>& buffers, std::int64_t i) {
    read(buffers.g, i, g);
#pragma unroll
    for (int k = 0; k < slots; ++k) read(buffers.from[k], i, slot[k]);
  }
  __device__ void store(const Buffers<slots>& buffers, std::int64_t i) const {
#pragma unroll
    for (int k = 0; k < slots; ++k) write(buffers.to[k], i, slot[k]);
  }
  /// rule(gradient, the element of each slot, which it changes)
  template <typename Rule>
  __device__ void apply(const Rule& rule) {
#pragma unroll
    for (int j = 0; j < width; ++j) {
      float element[slots];
#pragma unroll
      for (int k = 0; k < slots; ++k) element[k] = slot[k][j];
      rule(g[j], element);
#pragma unroll
      for (int k = 0; k < slots; ++k) slot[k][j] = element[k];
    }
  }
};

/// make_rule()(g, slots) for each element if `enabled`, else outputs as inputs. The first loads are on their way while
/// the rule is made, which all threads of the block do together.
template <int slots, typename MakeRule>
__device__ void update_all(const Buffers<slots>& buffers, bool enabled, const MakeRule& make_rule) {
  const std::int64_t stride = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  const std::int64_t first = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  Elements<slots, 4> four;
  std::int64_t i = first;
  if (i < buffers.vectors) four.load(buffers, i);
  const auto rule = make_rule();
  while (i < buffers.vectors) {
    if (enabled) four.apply(rule);
    four.store(buffers, i);
    i += stride;
    if (i < buffers.vectors) four.load(buffers, i);
  }
  for (i = 4 * buffers.vectors + first; i < buffers.count; i += stride) {
    Elements<slots, 1> one;
    one.load(buffers, i);
    if (enabled) one.apply(rule);
    one.store(buffers, i);
  }
}

/// Scalars of an update; g_scale and finite may be null.
struct Rates {
  const float *lr, *weight_decay, *momentum, *g_scale;
  const std::int32_t* finite;

  __device__ bool enabled() const { return finite == nullptr || *finite != 0; }
  __device__ float scale() const { return g_scale ? *g_scale : 1.0f; }
};

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

/// t' may lie where t does, and blocks may start after others have ended: the last to pass through `ticket`, by when
/// all have read t, writes it. atomicInc takes the ticket back to 0 for the next launch.
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
  if (threadIdx.x != 0) return;
  __threadfence();
  if (atomicInc(ticket, gridDim.x - 1) == gridDim.x - 1) *t_after = enabled ? t + 1 : t;
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
      spread -= slot[2] * slot[2];
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

/// A counter in device memory, at 0 whenever no launch that uses it runs.
class Ticket {
 public:
  Ticket() {
    check(cudaMalloc(reinterpret_cast<void**>(&counter_), sizeof(unsigned)), "taking memory on the device");
    check(cudaMemset(counter_, 0, sizeof(unsigned)), "clearing memory on the device");
    check(cudaStreamSynchronize(nullptr), "clearing memory on the device");
  }
  Ticket(const Ticket&) = delete;
  Ticket& operator=(const Ticket&) = delete;
  ~Ticket() { cudaFree(counter_); }
  unsigned* counter() const { return counter_; }

 private:
  unsigned* counter_ = nullptr;
};

/// Which operands an optimizer's op has: inputs and outputs of its slots, and its scalars (-1: left out).
template <int slots>
struct Operands {
  int from[slots];
  int lr, weight_decay, momentum, g_scale, finite;
  std::int64_t count;

  Buffers<slots> buffers(const LaunchArguments& a) const {
    Buffers<slots> b{};
    b.g = in<float>(a, 1);
    bool vectors = aligned(b.g);
    for (int k = 0; k < slots; ++k) {
      b.from[k] = in<float>(a, from[k]);
      b.to[k] = out<float>(a, k);
      vectors = vectors && aligned(b.from[k]) && aligned(b.to[k]);
    }
    b.count = count;
    b.vectors = vectors ? count / 4 : 0;
    return b;
  }
  Rates rates(const LaunchArguments& a) const {
    const auto number = [&](int i) { return i < 0 ? nullptr : in<float>(a, i); };
    return {number(lr), number(weight_decay), number(momentum), number(g_scale),
            finite < 0 ? nullptr : in<std::int32_t>(a, finite)};
  }
  int blocks() const { return grid((count + 3) / 4, threads, blocks_per_multiprocessor); }
};

std::optional<KernelPlan> plan_optimizer(const KernelRequest& request) {
  if (request.inputs[0]->dtype != DType::f32 || request.inputs[1]->dtype != DType::f32) return std::nullopt;
  KernelPlan plan = KernelPlan::row_major(request, "cuda");
  plan.in_place = {{0, 0}};
  if (request.op == "sgd" && request.has(2)) plan.in_place.push_back({1, 2});
  if (request.op == "adam") plan.in_place = {{0, 0}, {1, 2}, {2, 3}, {3, 4}};
  if (request.op == "rmsprop") {
    plan.in_place.push_back({1, 2});
    if (request.has(3)) plan.in_place.push_back({2, 3});
    if (request.has(4)) plan.in_place.push_back({request.has(3) ? 3 : 2, 4});
  }
  return plan;
}

/// Operand i if it is given, else -1.
int if_given(const KernelRequest& request, int i) {
  return request.has(static_cast<std::size_t>(i)) ? i : -1;
}

template <bool buffered>
std::unique_ptr<Launch> sgd(const KernelRequest& request) {
  const bool nesterov = as<SgdAttributes>(*request.attributes).nesterov;
  Operands<1 + buffered> o{{0}, 3, 4, 5, if_given(request, 6), if_given(request, 7), request.inputs[0]->elements()};
  if constexpr (buffered) o.from[1] = 2;
  const int blocks = o.blocks();
  return make_launch([=](const LaunchArguments& a) {
    sgd_kernel<buffered><<<blocks, threads, 0, stream_of(a)>>>(o.buffers(a), o.rates(a), nesterov);
  });
}

std::unique_ptr<Launch> prepare_sgd(const KernelRequest& request, const KernelPlan&) {
  return request.has(2) ? sgd<true>(request) : sgd<false>(request);
}

std::unique_ptr<Launch> prepare_adam(const KernelRequest& request, const KernelPlan&) {
  const auto& attributes = as<AdamAttributes>(*request.attributes);
  const AdamNumbers adam{attributes.beta1, attributes.beta2, attributes.eps, attributes.decoupled};
  const Operands<3> o{{0, 2, 3}, 5, 6, -1, if_given(request, 7), if_given(request, 8), request.inputs[0]->elements()};
  const int blocks = o.blocks();
  const auto ticket = std::make_shared<Ticket>();
  return make_launch([=](const LaunchArguments& a) {
    adam_kernel<<<blocks, threads, 0, stream_of(a)>>>(o.buffers(a), o.rates(a), adam, in<std::int64_t>(a, 4),
                                                      out<std::int64_t>(a, 3), ticket->counter());
  });
}

template <bool centered, bool buffered>
std::unique_ptr<Launch> rmsprop(const KernelRequest& request) {
  const auto& own = as<RmsPropAttributes>(*request.attributes);
  const double alpha = own.alpha, eps = own.eps;
  Operands<2 + centered + buffered> o{
      {0, 2}, 5, 6, 7, if_given(request, 8), if_given(request, 9), request.inputs[0]->elements()};
  if constexpr (centered) o.from[2] = 3;
  if constexpr (buffered) o.from[2 + centered] = 4;
  const int blocks = o.blocks();
  return make_launch([=](const LaunchArguments& a) {
    rmsprop_kernel<centered, buffered><<<blocks, threads, 0, stream_of(a)>>>(o.buffers(a), o.rates(a), alpha, eps);
  });
}

std::unique_ptr<Launch> prepare_rmsprop(const KernelRequest& request, const KernelPlan&) {
  if (request.has(3)) return request.has(4) ? rmsprop<true, true>(request) : rmsprop<true, false>(request);
  return request.has(4) ? rmsprop<false, true>(request) : rmsprop<false, false>(request);
}

const RegisterCuda registered[] = {{"sgd", plan_optimizer, prepare_sgd},
                                   {"adam", plan_optimizer, prepare_adam},
                                   {"rmsprop", plan_optimizer, prepare_rmsprop}};

}  // namespace
}  // namespace trainctl::cuda
