// softmax, log_softmax and their gradients.
#include "ops/softmax.h"

#include "kernels/cpu/loops/loop_kernel.h"
#include "kernels/cpu/loops/softmax_loops.h"

namespace trainctl::cpu {
namespace {

std::optional<KernelPlan> plan_softmax(const KernelRequest& request) {
  if (!all_f32(request)) return std::nullopt;
  KernelPlan plan = row_major_plan(request);
  for (int i = 0; i < static_cast<int>(request.inputs.size()); ++i) plan.in_place.push_back({0, i});
  return plan;
}

std::unique_ptr<Launch> prepare_softmax(const KernelRequest& request, const KernelPlan&) {
  const Shape& shape = request.outputs[0].shape;
  int axis = as<SoftmaxAttributes>(*request.attributes).axis;
  if (axis < 0) axis += shape.rank();
  const Rows rows{shape.slice(0, axis).elements(), shape[axis], shape.slice(axis + 1).elements()};
  const SoftmaxJob job{rows, request.op.starts_with("log_"), request.threads};
  return loop_launch(request,
                     request.op.ends_with("_backward") ? TRAINCTL_BEST(softmax_backward) : TRAINCTL_BEST(softmax), job);
}

const RegisterLoops registered[] = {
    {"softmax", plan_softmax, prepare_softmax},
    {"log_softmax", plan_softmax, prepare_softmax},
    {"softmax_backward", plan_softmax, prepare_softmax},
    {"log_softmax_backward", plan_softmax, prepare_softmax},
};

}  // namespace
}  // namespace trainctl::cpu
