#include "kernels/cpu/loops/batch_norm_loops.h"

#include "kernels/cpu/loops/channel_walk.h"

namespace trainctl::cpu::TRAINCTL_ISA {

/// y = f((x - centre) scale + offset + addend) over a group's pieces `outer`.
template <int width, bool relu, bool adds>
TRAINCTL_INLINE void affine(const ChannelView& view, long group, Range outer, const float* x, const float* addend,
                            float* y, const LaneFloats& centre, const LaneFloats& scale, const LaneFloats& offset) {
  Walk<width>::each(
      view, group, outer,
      [&](long i, int lane) __attribute__((always_inline)) {
        float value = (x[i] - centre[lane]) * scale[lane] + offset[lane];
        if constexpr (adds) value += addend[i];
        y[i] = relu && value < 0.0f ? 0.0f : value;
      },
      [&](long i) __attribute__((always_inline)) { y[i] = 0.0f; });
}

template <int width>
TRAINCTL_INLINE void affine_as(bool relu, const ChannelView& view, long group, Range outer, const float* x,
                               const float* addend, float* y, const LaneFloats& centre, const LaneFloats& scale,
                               const LaneFloats& offset) {
  if (relu && addend) return affine<width, true, true>(view, group, outer, x, addend, y, centre, scale, offset);
  if (relu) return affine<width, true, false>(view, group, outer, x, addend, y, centre, scale, offset);
  if (addend) return affine<width, false, true>(view, group, outer, x, addend, y, centre, scale, offset);
  affine<width, false, false>(view, group, outer, x, addend, y, centre, scale, offset);
}

/// The mean of the first piece of a group: close enough to the channel's mean that sums of squares about it lose no
/// digits.
template <int width>
TRAINCTL_INLINE void first_mean(const ChannelView& view, long group, const float* x, LaneFloats& mean) {
  LaneDoubles sum = {}, unused = {};
  Walk<width>::sum(
      view, group, {0, 1}, sum, unused, [&](long i, int, float& a, float& b) __attribute__((always_inline)) {
        a = x[i];
        b = 0;
      });
  const long terms = width < 0 ? (view.outer > 1 ? view.rows : view.count) : Walk<width>::rows_of(view, 0);
  for (int lane = 0; lane < most_lanes; ++lane) mean[lane] = static_cast<float>(sum[lane] / static_cast<double>(terms));
}

void batch_norm(const BatchNormJob& job, const Operands& operands) {
  const ChannelView& view = job.view;
  const float* x = operands.in<float>(0);
  const float* gamma = operands.in<float>(1);
  const float* beta = operands.in<float>(2);
  const float* addend = operands.in<float>(3);
  float* y = operands.out<float>(0);
  float* mean_out = operands.out<float>(1);
  float* variance_out = operands.out<float>(2);
  // Sums about a shift near the mean (Chan, Golub & LeVeque, 1983): one pass, and no digits lost. Threads that share a
  // channel each work the shift out and agree; one of them leaves it for the second pass.
  float* shifts = static_cast<float*>(operands.workspace);
  double* partial = reinterpret_cast<double*>(shifts + (view.groups * view.lanes + 15) / 16 * 16);
  with_walk(view, [&]<int width>() {
    reduce_then_apply(
        view, partial,
        [&](long group, Range outer, LaneDoubles& a, LaneDoubles& b) {
          const float* x_in = x;
          LaneFloats shift;
          first_mean<width>(view, group, x, shift);
          Walk<width>::sum(
              view, group, outer, a,
              b, [&](long i, int lane, float& first, float& second) __attribute__((always_inline)) {
                const float d = x_in[i] - shift[lane];
                first = d;
                second = d * d;
              });
          if (outer.begin == 0) {
            for (int lane = 0; lane < view.lanes; ++lane) shifts[group * view.lanes + lane] = shift[lane];
          }
        },
        [&](long group, Range outer, const LaneDoubles& a, const LaneDoubles& b, bool writes) {
          LaneFloats centre = {}, scale = {}, offset = {};
          for (int lane = 0; lane < channels_of(view, group); ++lane) {
            const long channel = group * view.lanes + lane;
            const double shifted = a[lane] / static_cast<double>(view.count);
            const double spread = b[lane] / static_cast<double>(view.count) - shifted * shifted;
            const double variance = spread < 0 ? 0 : spread;
            const double mean = shifts[channel] + shifted;
            centre[lane] = static_cast<float>(mean);
            scale[lane] = static_cast<float>(gamma[channel] / __builtin_sqrt(variance + job.eps));
            // What the mean loses by rounding to float32 goes into the offset: it counts where the mean is large beside
            // the deviation.
            offset[lane] = static_cast<float>(beta[channel] - (mean - centre[lane]) * scale[lane]);
            if (writes) {
              mean_out[channel] = static_cast<float>(mean);
              variance_out[channel] = static_cast<float>(variance);
            }
          }
          affine_as<width>(job.relu, view, group, outer, x, addend, y, centre, scale, offset);
        });
  });
}

/// An affine map by numbers that are known: numbers(channel, centre, scale, offset) sets them.
template <typename Numbers>
TRAINCTL_INLINE void apply_only(const BatchNormJob& job, const float* x, const float* addend, float* y,
                                const Numbers& numbers) {
  const ChannelView& view = job.view;
  with_walk(view, [&]<int width>() {
    each_share(view, [&](const Share& share) {
      for (long group = share.groups.begin; group < share.groups.end; ++group) {
        LaneFloats centre = {}, scale = {}, offset = {};
        for (int lane = 0; lane < channels_of(view, group); ++lane) {
          numbers(group * view.lanes + lane, centre[lane], scale[lane], offset[lane]);
        }
        affine_as<width>(job.relu, view, group, share.outer, x, addend, y, centre, scale, offset);
      }
    });
  });
}

void batch_norm_inference(const BatchNormJob& job, const Operands& operands) {
  const float* gamma = operands.in<float>(1);
  const float* beta = operands.in<float>(2);
  const float* mean = operands.in<float>(3);
  const float* variance = operands.in<float>(4);
  apply_only(job, operands.in<float>(0), operands.in<float>(5), operands.out<float>(0),
             [&](long channel, float& centre, float& scale, float& offset) {
               centre = mean[channel];
               scale = static_cast<float>(gamma[channel] / __builtin_sqrt(variance[channel] + job.eps));
               offset = beta[channel];
             });
}

void channel_affine(const BatchNormJob& job, const Operands& operands) {
  const float* gamma = operands.in<float>(1);
  const float* beta = operands.in<float>(2);
  apply_only(job, operands.in<float>(0), nullptr, operands.out<float>(0),
             [&](long channel, float& centre, float& scale, float& offset) {
               centre = 0.0f;
               scale = gamma[channel];
               offset = beta[channel];
             });
}

}  // namespace trainctl::cpu::TRAINCTL_ISA
