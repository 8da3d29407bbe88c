// What the optimizers' kernels share: one pass over a group's flat buffers, in place.
#pragma once

#include "kernels/cuda/elements.cuh"
#include "kernels/cuda/reduce.cuh"

namespace trainctl::cuda::optimizers {

constexpr int threads = 256;  // of a block
/// Two to four 16-byte loads of each of 1024 threads a multiprocessor are enough to keep the memory busy.
constexpr int blocks_per_multiprocessor = 4;

inline bool for_vectors(const void* address) {
  return reinterpret_cast<std::uintptr_t>(address) % sizeof(float4) == 0;
}

/// What an update reads and writes: gradients, and `slots` arrays, the parameters first.
template <int slots>
struct Buffers {
  const float* g;
  const float* from[slots];
  float* to[slots];     ///< may be the same memory as `from`
  __nv_bfloat16* copy;  ///< of the parameters, or null
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
  __device__ static void write(__nv_bfloat16* to, std::int64_t i, const float (&value)[width]) {
    Pack<__nv_bfloat16, width> rounded;
#pragma unroll
    for (int j = 0; j < width; ++j) rounded.at[j] = static_cast<__nv_bfloat16>(value[j]);
    reinterpret_cast<Pack<__nv_bfloat16, width>*>(to)[i] = rounded;
  }
  __device__ void load(const Buffers<slots>& buffers, std::int64_t i) {
    read(buffers.g, i, g);
#pragma unroll
    for (int k = 0; k < slots; ++k) read(buffers.from[k], i, slot[k]);
  }
  __device__ void store(const Buffers<slots>& buffers, std::int64_t i) const {
#pragma unroll
    for (int k = 0; k < slots; ++k) write(buffers.to[k], i, slot[k]);
    if (buffers.copy) write(buffers.copy, i, slot[0]);
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

/// Writes t'. All threads call it, when they have read t. It may lie where t does, and blocks may start after others
/// have ended: the last to pass through `ticket`, by when all have read t, writes it. atomicInc takes the ticket back
/// to 0 for the next launch.
__device__ inline void count_step(std::int64_t t, std::int64_t* t_after, unsigned* ticket) {
  __syncthreads();
  if (threadIdx.x != 0) return;
  __threadfence();
  if (atomicInc(ticket, gridDim.x - 1) == gridDim.x - 1) *t_after = t;
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

/// The output that is a bf16 copy of output 0, or -1.
inline int copy_of(const KernelPlan& plan) {
  return plan.bf16_copy == KernelPlan::Bf16Copy::wanted ? static_cast<int>(plan.outputs.size()) : -1;
}

/// Which operands an optimizer's op has: inputs and outputs of its slots, its scalars, and the copy (-1: left out).
template <int slots>
struct Operands {
  int from[slots];
  int lr, weight_decay, momentum, g_scale, finite;
  std::int64_t count;
  int copy;

  Buffers<slots> buffers(const LaunchArguments& a) const {
    Buffers<slots> b{};
    b.g = in<float>(a, 1);
    bool vectors = for_vectors(b.g);
    for (int k = 0; k < slots; ++k) {
      b.from[k] = in<float>(a, from[k]);
      b.to[k] = out<float>(a, k);
      vectors = vectors && for_vectors(b.from[k]) && for_vectors(b.to[k]);
    }
    b.copy = copy < 0 ? nullptr : out<__nv_bfloat16>(a, copy);
    vectors = vectors && address(b.copy) % sizeof(Pack<__nv_bfloat16, 4>) == 0;
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

/// Operand i if it is given, else -1.
inline int if_given(const KernelRequest& request, int i) {
  return request.has(static_cast<std::size_t>(i)) ? i : -1;
}

}  // namespace trainctl::cuda::optimizers
