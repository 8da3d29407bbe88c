// Walking over one group of channels of a ChannelView. For *_loops.cpp only.
#pragma once

#include "kernels/cpu/loops/channel_view.h"
#include "kernels/cpu/loops/simd.h"

namespace trainctl::cpu::TRAINCTL_ISA {

/// Sums in float32 are moved into float64 after this many terms, so that long channels keep their digits.
constexpr long float_terms = 1024;

/// Per-channel numbers of one group.
using LaneFloats = float[most_lanes];
using LaneDoubles = double[most_lanes];

TRAINCTL_INLINE int channels_of(const ChannelView& view, long group) {
  const long left = view.channels - group * view.lanes;
  return static_cast<int>(left < view.lanes ? left : view.lanes);
}

/// `width` is the number of lanes known at compile time, 0 where it is not, and -1 for runs.
template <int width>
struct Walk {
  static constexpr bool runs = width < 0;

  /// body(i, lane) for each element i of `group` in the pieces `outer`; padding(i) for the elements that only pad.
  template <typename Body, typename Padding>
  TRAINCTL_INLINE void each(const ChannelView& view, long group, Range outer, const Body& body,
                            const Padding& padding) {
    for (long o = outer.begin; o < outer.end; ++o) {
      const long start = o * view.outer_stride + group * view.group_stride;
      if constexpr (runs) {
        if (o + 1 == view.outer && view.valid < 16) {
          for (long i = 0; i < view.rows; i += 16) {
            for (long j = 0; j < view.valid; ++j) body(start + i + j, 0);
            for (long j = view.valid; j < 16; ++j) padding(start + i + j);
          }
        } else {
#pragma omp simd
          for (long i = start; i < start + view.rows; ++i) body(i, 0);
        }
      } else {
        const int lanes = width ? width : channels_of(view, group);
        const long rows = rows_of(view, o);
        for (long r = 0; r < rows; ++r) {
          const long row = start + r * view.row_stride;
#pragma omp simd
          for (int lane = 0; lane < lanes; ++lane) body(row + lane, lane);
        }
      }
    }
  }

  /// Adds to first[lane] and second[lane] what term(i, lane, a, b) sets a and b to, over the same elements.
  template <typename Term>
  TRAINCTL_INLINE void sum(const ChannelView& view, long group, Range outer, LaneDoubles& first, LaneDoubles& second,
                           const Term& term) {
    for (long o = outer.begin; o < outer.end; ++o) {
      const long start = o * view.outer_stride + group * view.group_stride;
      if constexpr (runs) {
        const bool padded = o + 1 == view.outer && view.valid < 16;
        for (long begin = 0; begin < view.rows; begin += float_terms) {
          const long end = begin + float_terms < view.rows ? begin + float_terms : view.rows;
          float s = 0, t = 0;
          if (padded) {
            for (long i = begin; i < end; ++i) {
              if (i % 16 >= view.valid) continue;
              float a, b;
              term(start + i, 0, a, b);
              s += a;
              t += b;
            }
          } else {
#pragma omp simd reduction(+ : s, t)
            for (long i = start + begin; i < start + end; ++i) {
              float a, b;
              term(i, 0, a, b);
              s += a;
              t += b;
            }
          }
          first[0] += s;
          second[0] += t;
        }
      } else {
        const int lanes = width ? width : channels_of(view, group);
        const long rows = rows_of(view, o);
        for (long begin = 0; begin < rows; begin += 64) {
          const long end = begin + 64 < rows ? begin + 64 : rows;
          float s[width ? width : most_lanes] = {}, t[width ? width : most_lanes] = {};
          for (long r = begin; r < end; ++r) {
            const long row = start + r * view.row_stride;
#pragma omp simd
            for (int lane = 0; lane < lanes; ++lane) {
              float a, b;
              term(row + lane, lane, a, b);
              s[lane] += a;
              t[lane] += b;
            }
          }
          for (int lane = 0; lane < lanes; ++lane) {
            first[lane] += s[lane];
            second[lane] += t[lane];
          }
        }
      }
    }
  }

  TRAINCTL_INLINE long rows_of(const ChannelView& view, long o) {
    const long left = view.total_rows - o * view.rows;
    return left < view.rows ? left : view.rows;
  }
};

/// Calls body.operator()<width>() for the width that fits the view.
template <typename Body>
TRAINCTL_INLINE void with_walk(const ChannelView& view, const Body& body) {
  if (view.runs) return body.template operator()<-1>();
  const bool whole =
      view.row_stride == view.lanes || view.channels % view.lanes == 0;  // no group with fewer lanes in memory
  if (whole && view.lanes == 8) return body.template operator()<8>();
  if (whole && view.lanes == 16) return body.template operator()<16>();
  body.template operator()<0>();
}

/// What thread `thread` of the view's group_parts * outer_parts does.
struct Share {
  Range groups, outer;
  int outer_part;
};
TRAINCTL_INLINE Share share_of(const ChannelView& view, long thread) {
  const int outer_part = static_cast<int>(thread / view.group_parts);
  return {part(view.groups, 1, static_cast<int>(thread % view.group_parts), view.group_parts),
          part(view.outer, 1, outer_part, view.outer_parts), outer_part};
}

/// body(share) for each thread's share.
template <typename Body>
TRAINCTL_INLINE void each_share(const ChannelView& view, const Body& body) {
  const int threads = view.group_parts * view.outer_parts;
  parallel_parts(threads, threads, 1, 1, [&](long begin, long end) {
    for (long thread = begin; thread < end; ++thread) body(share_of(view, thread));
  });
}

/// Per-channel reductions followed by an elementwise pass over the same data. first_pass(group, outer, a, b) adds to
/// the two sums of each lane; second_pass(group, outer, a, b, writes) sees the totals, and `writes` on the one thread
/// that stores what there is once for a group. Where no threads share a channel the passes follow each other group by
/// group, while the group is in the cache. The workspace holds 2 * groups * lanes doubles for each of outer_parts.
template <typename First, typename Second>
TRAINCTL_INLINE void reduce_then_apply(const ChannelView& view, double* workspace, const First& first_pass,
                                       const Second& second_pass) {
  const long lanes = view.lanes, part_size = 2 * view.groups * lanes;
  each_share(view, [&](const Share& share) {
    for (long group = share.groups.begin; group < share.groups.end; ++group) {
      LaneDoubles a = {}, b = {};
      first_pass(group, share.outer, a, b);
      if (view.outer_parts == 1) {
        second_pass(group, share.outer, a, b, true);
        continue;
      }
      double* to = workspace + share.outer_part * part_size + group * 2 * lanes;
      for (long lane = 0; lane < lanes; ++lane) {
        to[lane] = a[lane];
        to[lanes + lane] = b[lane];
      }
    }
  });
  if (view.outer_parts == 1) return;
  each_share(view, [&](const Share& share) {
    for (long group = share.groups.begin; group < share.groups.end; ++group) {
      LaneDoubles a = {}, b = {};
      for (int p = 0; p < view.outer_parts; ++p) {
        const double* from = workspace + p * part_size + group * 2 * lanes;
        for (long lane = 0; lane < lanes; ++lane) {
          a[lane] += from[lane];
          b[lane] += from[lanes + lane];
        }
      }
      second_pass(group, share.outer, a, b, share.outer_part == 0);
    }
  });
}

}  // namespace trainctl::cpu::TRAINCTL_ISA
