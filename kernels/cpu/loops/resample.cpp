// resample2d and its gradient.
#include "ops/resample.h"

#include <vector>

#include "kernels/cpu/loops/loop_kernel.h"
#include "kernels/cpu/loops/resample_loops.h"

namespace trainctl::cpu {
namespace {

struct Tables {
  std::vector<ResampleTap> rows, columns;
};

std::vector<ResampleTap> taps_of(const ResampleAxis& axis) {
  std::vector<ResampleTap> taps;
  for (int i = 0; i < axis.outputs; ++i) {
    const ResampleTaps at = resample_taps(axis, i);
    taps.push_back({at.first, at.second, static_cast<float>(at.share) / static_cast<float>(at.whole)});
  }
  return taps;
}

std::unique_ptr<Launch> prepare_resample(const KernelRequest& request, const KernelPlan&) {
  const auto& attributes = as<Resample2dAttributes>(*request.attributes);
  const bool backward = request.op == "resample2d_backward";
  const Shape& x = backward ? request.outputs[0].shape : request.inputs[0]->shape;
  const Shape& y = backward ? request.inputs[0]->shape : request.outputs[0].shape;
  const auto tables = std::make_shared<Tables>(
      Tables{taps_of(resample_axis(attributes, x, 0)), taps_of(resample_axis(attributes, x, 1))});
  const ResampleJob job{
      x[0] * x[1],         x[2],           x[3], y[2], y[3], tables->rows.data(), tables->columns.data(),
      attributes.bilinear, request.threads};
  return loop_launch(request, backward ? TRAINCTL_BEST(resample_backward) : TRAINCTL_BEST(resample), job, tables);
}

const RegisterLoops registered[] = {
    {"resample2d", plan_row_major_f32, prepare_resample},
    {"resample2d_backward", plan_row_major_f32, prepare_resample},
};

}  // namespace
}  // namespace trainctl::cpu
