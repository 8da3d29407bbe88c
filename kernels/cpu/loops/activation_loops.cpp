#include "kernels/cpu/loops/activation_loops.h"

#include "kernels/cpu/loops/activation_curves.h"

namespace trainctl::cpu::TRAINCTL_ISA {

// Elements that one thread does alone: cheap curves are bound by memory, the others by arithmetic.
static long alone(Curve curve) {
  return curve <= Curve::leaky_relu ? 16384 : 2048;
}

void activation(const ActivationJob& job, const Operands& operands) {
  const float* x = operands.in<float>(0);
  float* y = operands.out<float>(0);
  const float alpha = job.alpha;
  with_curve(job.curve, [&]<Curve curve>() {
    parallel_parts(job.threads, job.count, 16, alone(curve), [=](long begin, long end) {
#pragma omp simd
      for (long i = begin; i < end; ++i) y[i] = curve_value<curve>(x[i], alpha);
    });
  });
}

void activation_backward(const ActivationJob& job, const Operands& operands) {
  const float* dy = operands.in<float>(0);
  const float* saved = operands.in<float>(1);
  float* dx = operands.out<float>(0);
  const float alpha = job.alpha;
  with_curve(job.curve, [&]<Curve curve>() {
    parallel_parts(job.threads, job.count, 16, alone(curve), [=](long begin, long end) {
#pragma omp simd
      for (long i = begin; i < end; ++i) dx[i] = dy[i] * curve_slope<curve>(saved[i], alpha);
    });
  });
}

void add(const ActivationJob& job, const Operands& operands) {
  const float* a = operands.in<float>(0);
  const float* b = operands.in<float>(1);
  float* y = operands.out<float>(0);
  const float alpha = job.alpha;
  with_curve(job.curve, [&]<Curve curve>() {
    parallel_parts(job.threads, job.count, 16, alone(curve), [=](long begin, long end) {
#pragma omp simd
      for (long i = begin; i < end; ++i) y[i] = curve_value<curve>(a[i] + b[i], alpha);
    });
  });
}

}  // namespace trainctl::cpu::TRAINCTL_ISA
