#include "kernels/cpu/loops/elementwise_loops.h"

#include "kernels/cpu/loops/simd.h"

namespace trainctl::cpu::TRAINCTL_ISA {

static constexpr long alone = 16384;

void multiply(const ElementwiseJob& job, const Operands& operands) {
  const float* a = operands.in<float>(0);
  const float* b = operands.in<float>(1);
  float* y = operands.out<float>(0);
  parallel_parts(job.threads, job.count, 16, alone, [=](long begin, long end) {
#pragma omp simd
    for (long i = begin; i < end; ++i) y[i] = a[i] * b[i];
  });
}

void scale(const ElementwiseJob& job, const Operands& operands) {
  const float* x = operands.in<float>(0);
  const float s = *operands.in<float>(1);
  float* y = operands.out<float>(0);
  parallel_parts(job.threads, job.count, 16, alone, [=](long begin, long end) {
#pragma omp simd
    for (long i = begin; i < end; ++i) y[i] = s * x[i];
  });
}

template <typename One>
TRAINCTL_INLINE void raise(const ElementwiseJob& job, const Operands& operands, const One& one) {
  const float* x = operands.in<float>(0);
  float* y = operands.out<float>(0);
  parallel_parts(job.threads, job.count, 16, alone, [=](long begin, long end) {
#pragma omp simd
    for (long i = begin; i < end; ++i) y[i] = x[i] <= 0.0f ? 0.0f : one(x[i]);
  });
}

void power(const ElementwiseJob& job, const Operands& operands) {
  const float exponent = job.exponent;
  if (exponent == 2.0f)
    return raise(
        job, operands, [](float x) __attribute__((always_inline)) { return x * x; });
  if (exponent == 1.0f)
    return raise(
        job, operands, [](float x) __attribute__((always_inline)) { return x; });
  if (exponent == -1.0f)
    return raise(
        job, operands, [](float x) __attribute__((always_inline)) { return 1.0f / x; });
  raise(
      job, operands, [=](float x) __attribute__((always_inline)) { return __builtin_powf(x, exponent); });
}

void clamp(const ElementwiseJob& job, const Operands& operands) {
  const float* x = operands.in<float>(0);
  const float limit = *operands.in<float>(1);
  float* y = operands.out<float>(0);
  parallel_parts(job.threads, job.count, 16, alone, [=](long begin, long end) {
#pragma omp simd
    for (long i = begin; i < end; ++i) {
      const float low = x[i] < -limit ? -limit : x[i];
      y[i] = low > limit ? limit : low;
    }
  });
}

static void average_one(int threads, long count, const float* old, const float* fresh, float* y, float rate,
                        float scale) {
  if (rate == 0.0f && y == old) return;
  // The side from which a rate of 0 or 1 loses nothing.
  const float rest = 1.0f - rate;
  parallel_parts(threads, count, 16, alone, [=](long begin, long end) {
    if (rate == 0.0f) {
#pragma omp simd
      for (long i = begin; i < end; ++i) y[i] = old[i];
    } else if (rate < 0.5f) {
#pragma omp simd
      for (long i = begin; i < end; ++i) y[i] = old[i] + rate * (scale * fresh[i] - old[i]);
    } else if (rest == 0.0f) {
#pragma omp simd
      for (long i = begin; i < end; ++i) y[i] = scale * fresh[i];
    } else {
#pragma omp simd
      for (long i = begin; i < end; ++i) {
        const float target = scale * fresh[i];
        y[i] = target - rest * (target - old[i]);
      }
    }
  });
}

void moving_average(const AverageJob& job, const Operands& operands) {
  const float* given = operands.in<float>(2 * job.pairs);
  const float rate = given ? *given : job.rate;
  for (int k = 0; k < job.pairs; ++k)
    average_one(job.threads, job.elements[k], operands.in<float>(k), operands.in<float>(job.pairs + k),
                operands.out<float>(k), rate, job.scales[k]);
}

void cast_to_bf16(const ElementwiseJob& job, const Operands& operands) {
  const std::uint32_t* x = operands.in<std::uint32_t>(0);
  std::uint16_t* y = operands.out<std::uint16_t>(0);
  parallel_parts(job.threads, job.count, 16, alone, [=](long begin, long end) {
#pragma omp simd
    for (long i = begin; i < end; ++i) {
      // To nearest, ties to even; a NaN stays one.
      const bool nan = (x[i] & 0x7FFFFFFFu) > 0x7F800000u;
      const std::uint32_t rounded = (x[i] + 0x7FFFu + (x[i] >> 16 & 1u)) >> 16;
      y[i] = static_cast<std::uint16_t>(nan ? (x[i] >> 16 | 0x40u) : rounded);
    }
  });
}

void cast_from_bf16(const ElementwiseJob& job, const Operands& operands) {
  const std::uint16_t* x = operands.in<std::uint16_t>(0);
  std::uint32_t* y = operands.out<std::uint32_t>(0);
  parallel_parts(job.threads, job.count, 16, alone, [=](long begin, long end) {
#pragma omp simd
    for (long i = begin; i < end; ++i) y[i] = static_cast<std::uint32_t>(x[i]) << 16;
  });
}

/// Philox4x32-10 of base/philox.h on many counters at once, word by word so that it vectorises.
constexpr int philox_blocks = 64;
struct PhiloxBlocks {
  std::uint32_t word[4][philox_blocks];
};

static void philox(PhiloxBlocks& x, std::uint64_t stream) {
  std::uint32_t key0 = static_cast<std::uint32_t>(stream), key1 = static_cast<std::uint32_t>(stream >> 32);
  for (int round = 0; round < 10; ++round) {
#pragma omp simd
    for (int b = 0; b < philox_blocks; ++b) {
      const std::uint64_t product0 = std::uint64_t{0xD2511F53u} * x.word[0][b];
      const std::uint64_t product1 = std::uint64_t{0xCD9E8D57u} * x.word[2][b];
      x.word[0][b] = static_cast<std::uint32_t>(product1 >> 32) ^ x.word[1][b] ^ key0;
      x.word[2][b] = static_cast<std::uint32_t>(product0 >> 32) ^ x.word[3][b] ^ key1;
      x.word[1][b] = static_cast<std::uint32_t>(product1);
      x.word[3][b] = static_cast<std::uint32_t>(product0);
    }
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
}

/// Elements [begin, end), begin a multiple of 4; counters and uniform numbers as ops/random.h has them.
static void dropout_part(const float* x, float* y, long begin, long end, float p, std::uint64_t stream,
                         std::int64_t step) {
  const float keep_scale = 1.0f / (1.0f - p);
  for (long first = begin; first < end; first += 4 * philox_blocks) {
    PhiloxBlocks blocks;
    for (int b = 0; b < philox_blocks; ++b) {
      const std::uint64_t index = static_cast<std::uint64_t>(first / 4 + b);
      blocks.word[0][b] = static_cast<std::uint32_t>(step);
      blocks.word[1][b] = static_cast<std::uint32_t>(static_cast<std::uint64_t>(step) >> 32);
      blocks.word[2][b] = static_cast<std::uint32_t>(index);
      blocks.word[3][b] = static_cast<std::uint32_t>(index >> 32);
    }
    philox(blocks, stream);
    float uniform[4 * philox_blocks];
#pragma omp simd
    for (int b = 0; b < philox_blocks; ++b) {
      for (int w = 0; w < 4; ++w)
        uniform[4 * b + w] = static_cast<float>(static_cast<std::int32_t>(blocks.word[w][b] >> 8)) * 0x1p-24f;
    }
    const long count = end - first < 4 * philox_blocks ? end - first : 4 * philox_blocks;
    const float* from = x + first;
    float* to = y + first;
#pragma omp simd
    for (long i = 0; i < count; ++i) {
      const float kept = from[i] * keep_scale;
      to[i] = uniform[i] >= p ? kept : 0.0f;
    }
  }
}

void dropout(const ElementwiseJob& job, const Operands& operands) {
  const float* x = operands.in<float>(0);
  const float p = *operands.in<float>(1);
  const std::int64_t step = *operands.in<std::int64_t>(2);
  float* y = operands.out<float>(0);
  const std::uint64_t stream = job.stream;
  parallel_parts(job.threads, job.count, 256, 4096,
                 [=](long begin, long end) { dropout_part(x, y, begin, end, p, stream, step); });
}

}  // namespace trainctl::cpu::TRAINCTL_ISA
