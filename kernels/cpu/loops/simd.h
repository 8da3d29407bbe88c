// What loop sources share: splitting work among threads, and elementary functions that vectorise. For *_loops.cpp only;
// see kernels/cpu/dispatch.h.
#pragma once

#include <cstdint>

namespace trainctl::cpu::TRAINCTL_ISA {

#define TRAINCTL_INLINE static inline __attribute__((always_inline))

/// Part `index` of [0, count) in `parts` runs, cut at multiples of `align`. Equal arguments give equal parts, so that a
/// thread meets the same data in every op on tensors of one size.
struct Range {
  long begin, end;
};
TRAINCTL_INLINE Range part(long count, long align, int index, int parts) {
  const long units = (count + align - 1) / align;
  const long begin = units * index / parts * align, end = units * (index + 1) / parts * align;
  return {begin < count ? begin : count, end < count ? end : count};
}

/// A function of its own, so that a loop is compiled once for threads and without. The copy lets the compiler see that
/// no store changes what the body captured.
template <typename Body>
__attribute__((noinline)) static void run_part(const Body& body, long begin, long end) {
  const Body own = body;
  own(begin, end);
}

/// body(begin, end) on each thread's part of [0, count). A fork and join costs about a microsecond: `count` up to
/// `alone` stays on this thread.
template <typename Body>
TRAINCTL_INLINE void parallel_parts(int threads, long count, long align, long alone, const Body& body) {
  if (threads <= 1 || count <= alone) {
    run_part(body, 0, count);
    return;
  }
#pragma omp parallel for num_threads(threads) schedule(static, 1)
  for (int thread = 0; thread < threads; ++thread) {
    const Range range = part(count, align, thread, threads);
    run_part(body, range.begin, range.end);
  }
}

/// Most float32 lanes of a vector register of this level.
#if defined(__AVX512F__)
constexpr int native_lanes = 16;
#elif defined(__AVX2__)
constexpr int native_lanes = 8;
#else
constexpr int native_lanes = 4;
#endif

/// Vectors of `n` numbers, for loops that the compiler does not vectorise by itself. Comparisons give Ints of 0 and -1,
/// which ?: takes.
template <int n>
struct Vector {
  typedef float Floats __attribute__((vector_size(4 * n)));
  typedef std::int32_t Ints __attribute__((vector_size(4 * n)));
  typedef std::uint8_t Bytes __attribute__((vector_size(n)));
};
template <typename V>
TRAINCTL_INLINE V load(const void* from) {
  V vector;
  __builtin_memcpy(&vector, from, sizeof vector);
  return vector;
}
template <typename V>
TRAINCTL_INLINE void store(void* to, V vector) {
  __builtin_memcpy(to, &vector, sizeof vector);
}

TRAINCTL_INLINE float absolute(float x) {
  return __builtin_fabsf(x);
}

/// e^x within 2 ulp; 0 and infinity beyond the range of float32, NaN for NaN. x = n ln 2 + r, e^r by a polynomial on
/// |r| <= ln(2)/2 (interpolated at Chebyshev nodes, error 8e-9), 2^n in two factors so that subnormal results come out
/// right.
TRAINCTL_INLINE float exponential(float x) {
  x = x < -104.0f ? -104.0f : x;
  x = x > 89.0f ? 89.0f : x;
  const float shifted = x * 1.44269504f + 0x1.8p23f;  // the nearest integer lies in the low bits
  const float n = shifted - 0x1.8p23f;
  const float r =
      (x - n * 0x1.62e4p-1f) - n * 1.42860682e-6f;  // ln 2 in two parts, the first short enough for exact products
  const float p = 0.5f + r * (0.166665734f + r * (0.0416665501f + r * (0.00836377382f + r * 0.00139269266f)));
  const float e = 1.0f + (r + r * r * p);
  const std::int32_t whole = __builtin_bit_cast(std::int32_t, shifted) - 0x4B400000;
  const std::int32_t half = whole >> 1;
  const float first = __builtin_bit_cast(float, (half + 127) << 23);
  const float second = __builtin_bit_cast(float, (whole - half + 127) << 23);
  return e * first * second;
}

TRAINCTL_INLINE float logistic(float x) {
  return 1.0f / (1.0f + exponential(-x));
}

/// tanh x within 3 ulp: an odd polynomial near 0, else 1 - 2 / (e^2|x| + 1).
TRAINCTL_INLINE float hyperbolic_tangent(float x) {
  const float t = absolute(x);
  const float z = x * x;
  const float p = -0.333333284f + z * (0.133327188f + z * (-0.0538432632f + z * (0.0209613291f + z * -0.00604516509f)));
  const float near = x + x * z * p;
  const float far = __builtin_copysignf(1.0f - 2.0f / (exponential(2.0f * t) + 1.0f), x);
  return t > 0.625f ? far : near;
}

/// The error function within 3 ulp: an odd polynomial up to 1, above it 1 - e^g(|x|) with g ~ log erfc.
TRAINCTL_INLINE float error_function(float x) {
  const float t = absolute(x);
  const float z = x * x;
  const float q = 1.12837917f +
                  z * (-0.376126267f +
                       z * (0.112835951f + z * (-0.0268542327f +
                                                z * (0.00518913958f + z * (-0.000801747337f + z * 7.87858828e-05f)))));
  const float s = t > 4.0f ? 4.0f : t;
  const float g =
      0.000321866258f +
      s * (-1.13024188f +
           s * (-0.63180955f +
                s * (-0.110097243f +
                     s * (0.0264316433f + s * (-0.00476350966f + s * (0.000597677275f + s * (-4.61647852e-05f +
                                                                                             s * 1.64267897e-06f)))))));
  const float far = __builtin_copysignf(1.0f - exponential(g), x);
  return t > 1.0f ? far : x * q;
}

}  // namespace trainctl::cpu::TRAINCTL_ISA
