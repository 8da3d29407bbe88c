// What loops over an optimizer's flat buffers share. For *_loops.cpp only.
#pragma once

#include "kernels/cpu/dispatch.h"
#include "kernels/cpu/loops/simd.h"

namespace trainctl::cpu::TRAINCTL_ISA {

TRAINCTL_INLINE float scalar(const float* operand, float otherwise) {
  return operand ? *operand : otherwise;
}

TRAINCTL_INLINE bool is_finite(const std::int32_t* operand) {
  return operand == nullptr || *operand != 0;
}

TRAINCTL_INLINE void keep(const Operands& operands, int output, int input, long count) {
  if (operands.outputs[output] != operands.inputs[input]) {
    __builtin_memcpy(operands.outputs[output], operands.inputs[input], count * sizeof(float));
  }
}

constexpr long prefetch_ahead = 16 * 16;

/// one(i) for each i of this thread's part. The other cores have read the parameters, and a store to a line that they
/// share stalls until they give it up: ask for it early.
template <typename One>
TRAINCTL_INLINE void update_all(int threads, long count, float* parameters, const One& one) {
  parallel_parts(threads, count, 16, 8192, [=](long begin, long end) {
    constexpr long stride = 64;  // a loop of 16 would be unrolled before it is vectorised
    long i = begin;
    for (; i + stride <= end; i += stride) {
      for (int line = 0; line < 4; ++line) __builtin_prefetch(parameters + i + prefetch_ahead + 16 * line, 1);
#pragma omp simd
      for (long j = i; j < i + stride; ++j) one(j);
    }
#pragma omp simd
    for (long j = i; j < end; ++j) one(j);
  });
}

}  // namespace trainctl::cpu::TRAINCTL_ISA
