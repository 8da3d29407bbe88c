// dot_along, scale_along, one_hot.
#include "ops/along.h"

#include "kernels/cpu/loops/along_loops.h"
#include "kernels/cpu/loops/loop_kernel.h"

namespace trainctl::cpu {
namespace {

std::unique_ptr<Launch> prepare_along(const KernelRequest& request, const KernelPlan&) {
  const auto& along = as<AlongAttributes>(*request.attributes);
  const AlongJob job{along.outer(), along.kept().elements(), along.inner(), request.threads};
  return loop_launch(request, request.op == "dot_along" ? TRAINCTL_BEST(dot_along) : TRAINCTL_BEST(scale_along), job);
}

std::optional<KernelPlan> plan_one_hot(const KernelRequest& request) {
  return row_major_plan(request);
}

std::unique_ptr<Launch> prepare_one_hot(const KernelRequest& request, const KernelPlan&) {
  const Shape& y = request.outputs[0].shape;
  return loop_launch(
      request, TRAINCTL_BEST(one_hot),
      OneHotJob{y[0], y[1], y.slice(2).elements(), request.inputs[0]->dtype == DType::i64, request.threads});
}

const RegisterLoops registered[] = {
    {"dot_along", plan_row_major_f32, prepare_along},
    {"scale_along", plan_row_major_f32, prepare_along},
    {"one_hot", plan_one_hot, prepare_one_hot},
};

}  // namespace
}  // namespace trainctl::cpu
