#include "kernels/cpu/loops/resample_loops.h"

#include "kernels/cpu/loops/simd.h"

namespace trainctl::cpu::TRAINCTL_ISA {

TRAINCTL_INLINE long planes_alone(const ResampleJob& job) {
  return 16384 / (job.out_height * job.out_width + 1);
}

void resample(const ResampleJob& job, const Operands& operands) {
  const long plane_size = job.height * job.width;
  parallel_parts(job.threads, job.planes, 1, planes_alone(job), [=, &operands](long begin, long end) {
    float* y = operands.out<float>(0) + begin * job.out_height * job.out_width;
    for (long plane = begin; plane < end; ++plane) {
      const float* x = operands.in<float>(0) + plane * plane_size;
      for (long i = 0; i < job.out_height; ++i, y += job.out_width) {
        const float* top = x + job.rows[i].first * job.width;
        const float* bottom = x + job.rows[i].second * job.width;
        const float down = job.rows[i].share;
        if (!job.bilinear) {
          for (long j = 0; j < job.out_width; ++j) y[j] = top[job.columns[j].first];
          continue;
        }
#pragma omp simd
        for (long j = 0; j < job.out_width; ++j) {
          const ResampleTap tap = job.columns[j];
          const float above = (1.0f - tap.share) * top[tap.first] + tap.share * top[tap.second];
          const float below = (1.0f - tap.share) * bottom[tap.first] + tap.share * bottom[tap.second];
          y[j] = (1.0f - down) * above + down * below;
        }
      }
    }
  });
}

void resample_backward(const ResampleJob& job, const Operands& operands) {
  const long plane_size = job.height * job.width;
  parallel_parts(job.threads, job.planes, 1, planes_alone(job), [=, &operands](long begin, long end) {
    const float* dy = operands.in<float>(0) + begin * job.out_height * job.out_width;
    for (long plane = begin; plane < end; ++plane) {
      float* dx = operands.out<float>(0) + plane * plane_size;
      __builtin_memset(dx, 0, plane_size * sizeof(float));
      for (long i = 0; i < job.out_height; ++i, dy += job.out_width) {
        float* top = dx + job.rows[i].first * job.width;
        float* bottom = dx + job.rows[i].second * job.width;
        const float down = job.rows[i].share;
        for (long j = 0; j < job.out_width; ++j) {
          const ResampleTap tap = job.columns[j];
          if (!job.bilinear) {
            top[tap.first] += dy[j];
            continue;
          }
          const float above = (1.0f - down) * dy[j], below = down * dy[j];
          top[tap.first] += (1.0f - tap.share) * above;
          top[tap.second] += tap.share * above;
          bottom[tap.first] += (1.0f - tap.share) * below;
          bottom[tap.second] += tap.share * below;
        }
      }
    }
  });
}

}  // namespace trainctl::cpu::TRAINCTL_ISA
