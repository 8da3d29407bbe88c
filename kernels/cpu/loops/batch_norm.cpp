// batch_norm, its gradient, batch_norm_inference and channel_affine, in all layouts of activations.
#include <algorithm>

#include "kernels/cpu/loops/batch_norm_loops.h"
#include "kernels/cpu/loops/channel_layout.h"
#include "kernels/cpu/loops/loop_kernel.h"
#include "ops/norm.h"

namespace trainctl::cpu {
namespace {

BatchNormAttributes attributes_of(const KernelRequest& request) {
  return request.op == "channel_affine" ? BatchNormAttributes() : as<BatchNormAttributes>(*request.attributes);
}

std::optional<KernelPlan> plan_batch_norm(const KernelRequest& request) {
  const Activation activation = attributes_of(request).activation;
  if (!all_f32(request) || (activation && activation.kind != Activation::Kind::relu)) return std::nullopt;
  const TensorType& x = *request.inputs[0];
  Layout layout = shared_layout(request);
  if (!channel_view(layout, x.shape, request.threads)) layout = Layout();
  KernelPlan plan = uniform_plan(request, layout);
  const ChannelView view = *channel_view(layout, x.shape, request.threads);
  const std::size_t channels = (view.groups * view.lanes + 15) / 16 * 16;
  plan.workspace_bytes = channels * (sizeof(float) + 2 * sizeof(double) * view.outer_parts);
  if (request.op == "batch_norm_backward") {
    plan.in_place = {{0, 1}, {0, 0}};
    if (request.outputs.size() > 3) plan.in_place.push_back({3, 1});
  } else {
    plan.in_place = {{0, 0}};
    const int sum = request.op == "batch_norm" ? 3 : 5;
    if (request.op != "channel_affine" && request.has(sum)) plan.in_place.push_back({0, sum});
  }
  return plan;
}

std::unique_ptr<Launch> prepare_batch_norm(const KernelRequest& request, const KernelPlan& plan) {
  const BatchNormAttributes attributes = attributes_of(request);
  const BatchNormJob job{*channel_view(plan.inputs[0], request.inputs[0]->shape, request.threads), attributes.eps,
                         static_cast<bool>(attributes.activation)};
  if (request.op == "batch_norm") return loop_launch(request, TRAINCTL_BEST(batch_norm), job);
  if (request.op == "batch_norm_backward") return loop_launch(request, TRAINCTL_BEST(batch_norm_backward), job);
  return loop_launch(
      request, request.op == "channel_affine" ? TRAINCTL_BEST(channel_affine) : TRAINCTL_BEST(batch_norm_inference),
      job);
}

const RegisterLoops registered[] = {
    {"batch_norm", plan_batch_norm, prepare_batch_norm},
    {"batch_norm_backward", plan_batch_norm, prepare_batch_norm},
    {"batch_norm_inference", plan_batch_norm, prepare_batch_norm},
    {"channel_affine", plan_batch_norm, prepare_batch_norm},
};

}  // namespace
}  // namespace trainctl::cpu
