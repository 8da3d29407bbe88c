#include "kernels/cpu/loops/batch_norm_loops.h"
#include "kernels/cpu/loops/channel_walk.h"

namespace trainctl::cpu::TRAINCTL_ISA {

// With d = dy f'(y), M elements a channel and r = 1 / sqrt(variance + eps):
//   dbeta = sum d,  dgamma = r sum d (x - mean),  dx = gamma r (d - dbeta / M - (x - mean) r dgamma / M)
/// dy f'(y). Both are read in any case: a load under a condition does not vectorise.
template <bool relu>
TRAINCTL_INLINE float masked(float dy, float y) {
  return !relu || y > 0.0f ? dy : 0.0f;
}

template <bool relu, bool gives_sum>
static void backward(const BatchNormJob& job, const Operands& operands) {
  const ChannelView& view = job.view;
  const float* x = operands.in<float>(0);
  const float* dy = operands.in<float>(1);
  const float* mean = operands.in<float>(2);
  const float* variance = operands.in<float>(3);
  const float* gamma = operands.in<float>(4);
  const float* y = relu ? operands.in<float>(5) : dy;
  float* dx = operands.out<float>(0);
  float* dgamma = operands.out<float>(1);
  float* dbeta = operands.out<float>(2);
  float* dsum = operands.out<float>(3);
  with_walk(view, [&]<int width>() {
    reduce_then_apply(
        view, static_cast<double*>(operands.workspace),
        [&](long group, Range outer, LaneDoubles& a, LaneDoubles& b) {
          const float *x_in = x, *dy_in = dy,
                      *y_in = y;  // of its own, so that the compiler need not fetch them anew for each element
          LaneFloats centre = {};
          for (int lane = 0; lane < channels_of(view, group); ++lane) centre[lane] = mean[group * view.lanes + lane];
          Walk<width>::sum(
              view, group, outer, a,
              b, [&](long i, int lane, float& first, float& second) __attribute__((always_inline)) {
                first = masked<relu>(dy_in[i], y_in[i]);
                second = first * (x_in[i] - centre[lane]);
              });
        },
        [&](long group, Range outer, const LaneDoubles& a, const LaneDoubles& b, bool writes) {
          const float *x_in = x, *dy_in = dy, *y_in = y;
          float *dx_out = dx, *dsum_out = dsum;
          LaneFloats centre = {}, scale = {}, flat = {}, slope = {};
          const double elements = static_cast<double>(view.count);
          for (int lane = 0; lane < channels_of(view, group); ++lane) {
            const long channel = group * view.lanes + lane;
            const double rstd = 1 / __builtin_sqrt(variance[channel] + job.eps);
            centre[lane] = mean[channel];
            scale[lane] = static_cast<float>(gamma[channel] * rstd);
            flat[lane] = static_cast<float>(a[lane] / elements);
            slope[lane] = static_cast<float>(b[lane] * rstd * rstd / elements);
            if (writes) {
              dgamma[channel] = static_cast<float>(b[lane] * rstd);
              dbeta[channel] = static_cast<float>(a[lane]);
            }
          }
          Walk<width>::each(
              view, group, outer,
              [&](long i, int lane) __attribute__((always_inline)) {
                const float d = masked<relu>(dy_in[i], y_in[i]);
                const float result = scale[lane] * (d - flat[lane] - (x_in[i] - centre[lane]) * slope[lane]);
                if constexpr (gives_sum) dsum_out[i] = d;
                dx_out[i] = result;
              },
              [&](long i) __attribute__((always_inline)) {
                if constexpr (gives_sum) dsum_out[i] = 0.0f;
                dx_out[i] = 0.0f;
              });
        });
  });
}

void batch_norm_backward(const BatchNormJob& job, const Operands& operands) {
  const bool gives_sum = operands.out<float>(3) != nullptr;
  if (job.relu) return gives_sum ? backward<true, true>(job, operands) : backward<true, false>(job, operands);
  return gives_sum ? backward<false, true>(job, operands) : backward<false, false>(job, operands);
}

}  // namespace trainctl::cpu::TRAINCTL_ISA
