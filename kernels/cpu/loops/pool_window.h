// What max_pool and avg_pool loops share. For *_loops.cpp only.
#pragma once

#include "kernels/cpu/loops/pool_loops.h"
#include "kernels/cpu/loops/simd.h"

namespace trainctl::cpu::TRAINCTL_ISA {

/// The part [begin, end) of a window's extent that lies in the image, from where the window begins (which may be in the
/// padding).
struct Span {
  long origin, begin, end;
};
TRAINCTL_INLINE Span span_at(long out, long stride, long pad, long kernel, long extent) {
  const long origin = out * stride - pad;
  return {origin, origin < 0 ? -origin : 0, origin + kernel > extent ? extent - origin : kernel};
}
TRAINCTL_INLINE Span bin_at(long i, long extent, long bins) {
  const long begin = i * extent / bins;
  return {begin, 0, ((i + 1) * extent + bins - 1) / bins - begin};
}
TRAINCTL_INLINE Span rows_at(const PoolJob& job, long i) {
  if (job.bins_height) return bin_at(i, job.height, job.bins_height);
  return span_at(i, job.stride_height, job.pad_height, job.kernel_height, job.height);
}
TRAINCTL_INLINE Span columns_at(const PoolJob& job, long j) {
  if (job.bins_width) return bin_at(j, job.width, job.bins_width);
  return span_at(j, job.stride_width, job.pad_width, job.kernel_width, job.width);
}

/// Outputs [begin, end) of a row have windows that no side cuts off, all of one size and distance.
TRAINCTL_INLINE Range whole_columns(const PoolJob& job) {
  if (job.bins_width) return {0, 0};
  long begin = (job.pad_width + job.stride_width - 1) / job.stride_width;
  long end = (job.width + job.pad_width - job.kernel_width) / job.stride_width + 1;
  if (job.width + job.pad_width < job.kernel_width) end = 0;
  begin = begin < job.out_width ? begin : job.out_width;
  end = end < job.out_width ? end : job.out_width;
  return {begin, end > begin ? end : begin};
}

TRAINCTL_INLINE float window_divisor(const PoolJob& job, const Span& rows, const Span& columns) {
  if (!job.count_include_pad) return static_cast<float>((rows.end - rows.begin) * (columns.end - columns.begin));
  const long bottom = job.height + job.pad_height - rows.origin, right = job.width + job.pad_width - columns.origin;
  return static_cast<float>((bottom < job.kernel_height ? bottom : job.kernel_height) *
                            (right < job.kernel_width ? right : job.kernel_width));
}

TRAINCTL_INLINE long plane_size(const PoolJob& job) {
  return job.height * job.width * job.lanes;
}
TRAINCTL_INLINE long out_plane_size(const PoolJob& job) {
  return job.out_height * job.out_width * job.lanes;
}

/// Planes that one thread does alone.
TRAINCTL_INLINE long planes_alone(const PoolJob& job) {
  return 32768 / (plane_size(job) + 1);
}

/// The greatest vector of at most `count` numbers.
TRAINCTL_INLINE int vector_for(long count) {
  if (native_lanes >= 16 && count >= 16) return 16;
  if (native_lanes >= 8 && count >= 8) return 8;
  return count >= 4 ? 4 : 1;
}

/// Calls body.operator()<n>() for n as vector_for() gives it.
template <typename Body>
TRAINCTL_INLINE void with_vector(int n, const Body& body) {
  if constexpr (native_lanes >= 16) {
    if (n == 16) return body.template operator()<16>();
  }
  if constexpr (native_lanes >= 8) {
    if (n == 8) return body.template operator()<8>();
  }
  n == 4 ? body.template operator()<4>() : body.template operator()<1>();
}

/// Splits the results of each row into vectors that a loop finds together: neighbouring lanes of one window or, where
/// there is one lane, neighbouring windows. body.operator()<n, step>(i, columns of the first window, where in the row
/// of y, lane in x): what the vector's numbers have in x between them is `step`, or the stride where that is 0.
template <typename Body>
TRAINCTL_INLINE void each_vector(const PoolJob& job, const Body& body) {
  for (long i = 0; i < job.out_height; ++i) {
    if (job.lanes == 1) {
      const Range whole = whole_columns(job);
      for (long j = 0; j < whole.begin; ++j) body.template operator()<1, 1>(i, columns_at(job, j), j, 0);
      // The last vector steps back over results that are there already, rather than take a slow narrow one.
      const long found = whole.end - whole.begin;
      const int width = vector_for(found);
      with_vector(width, [&]<int n>() {
        for (long done = 0; done < found; done += n) {
          const long j = whole.begin + (done + n <= found ? done : found - n);
          if (job.stride_width == 2) {
            body.template operator()<n, 2>(i, columns_at(job, j), j, 0);
          } else {
            body.template operator()<n, 0>(i, columns_at(job, j), j, 0);
          }
        }
      });
      for (long j = whole.end; j < job.out_width; ++j) body.template operator()<1, 1>(i, columns_at(job, j), j, 0);
    } else {
      for (long j = 0; j < job.out_width; ++j) {
        const Span columns = columns_at(job, j);
        for (long lane = 0; lane < job.lanes;) {
          const int width = vector_for(job.lanes - lane);
          with_vector(width, [&]<int n>() { body.template operator()<n, 1>(i, columns, j * job.lanes + lane, lane); });
          lane += width;
        }
      }
    }
  }
}

/// n numbers `step` apart. For a step of 2 nothing but what lies between the first and the last is read.
template <int n, int step>
TRAINCTL_INLINE typename Vector<n>::Floats load_apart(const float* from, long stride) {
  using Floats = typename Vector<n>::Floats;
  if constexpr (step == 1 || n == 1) return load<Floats>(from);
  if constexpr (step == 2 && n > 1) {
    const Floats low = load<Floats>(from);
    const Floats high = load<Floats>(from + n - 1);  // its odd elements are the even ones of what follows `low`
    if constexpr (n == 4) return __builtin_shufflevector(low, high, 0, 2, 5, 7);
    if constexpr (n == 8) return __builtin_shufflevector(low, high, 0, 2, 4, 6, 9, 11, 13, 15);
    if constexpr (n == 16)
      return __builtin_shufflevector(low, high, 0, 2, 4, 6, 8, 10, 12, 14, 17, 19, 21, 23, 25, 27, 29, 31);
  }
  Floats vector;
  for (int l = 0; l < n; ++l) vector[l] = from[l * stride];
  return vector;
}

}  // namespace trainctl::cpu::TRAINCTL_ISA
