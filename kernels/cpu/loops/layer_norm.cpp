// layer_norm and its gradient.
#include "kernels/cpu/loops/layer_norm_loops.h"

#include <algorithm>

#include "kernels/cpu/loops/loop_kernel.h"
#include "ops/norm.h"

namespace trainctl::cpu {
namespace {

LayerNormJob job_of(const KernelRequest& request) {
  const auto& attributes = as<LayerNormAttributes>(*request.attributes);
  const Shape& x = request.inputs[0]->shape;
  const int leading = x.rank() - attributes.axes;
  return {x.slice(0, leading).elements(), x.slice(leading).elements(), attributes.eps, request.threads};
}

std::optional<KernelPlan> plan_layer_norm(const KernelRequest& request) {
  if (!all_f32(request)) return std::nullopt;
  KernelPlan plan = row_major_plan(request);
  plan.in_place = {{0, 0}};
  if (request.op == "layer_norm_backward") {
    plan.in_place.push_back({0, 1});
    plan.workspace_bytes =
        static_cast<std::size_t>(std::max(request.threads, 1)) * 2 * job_of(request).extent * sizeof(float);
  }
  return plan;
}

std::unique_ptr<Launch> prepare_layer_norm(const KernelRequest& request, const KernelPlan&) {
  return loop_launch(request,
                     request.op == "layer_norm" ? TRAINCTL_BEST(layer_norm) : TRAINCTL_BEST(layer_norm_backward),
                     job_of(request));
}

const RegisterLoops registered[] = {
    {"layer_norm", plan_layer_norm, prepare_layer_norm},
    {"layer_norm_backward", plan_layer_norm, prepare_layer_norm},
};

}  // namespace
}  // namespace trainctl::cpu
