// softmax_cross_entropy, nll, pointwise_loss and their gradients.
#include "ops/loss.h"

#include "kernels/cpu/loops/loop_kernel.h"
#include "kernels/cpu/loops/loss_loops.h"

namespace trainctl::cpu {
namespace {

static_assert(static_cast<int>(PointwiseLossAttributes::Kind::kl_div_log) == static_cast<int>(Distance::kl_div_log));

std::optional<KernelPlan> plan_class_loss(const KernelRequest& request) {
  if (request.inputs[0]->dtype != DType::f32) return std::nullopt;
  if (request.inputs[1]->dtype != DType::i64 && request.inputs[1]->dtype != DType::i32) return std::nullopt;
  KernelPlan plan = row_major_plan(request);
  if (request.op == "softmax_cross_entropy")
    plan.workspace_bytes = (request.inputs[1]->elements() / loss_block + 1) * 2 * sizeof(double);
  if (request.op == "softmax_cross_entropy_backward") {
    if (!request.has(4)) return std::nullopt;
    plan.in_place = {{0, 0}};
  }
  return plan;
}

std::unique_ptr<Launch> prepare_class_loss(const KernelRequest& request, const KernelPlan&) {
  const Shape& shape = request.inputs[0]->shape;
  const ClassLossJob job{
      {shape[0], shape[1], shape.slice(2).elements()}, request.inputs[1]->dtype == DType::i64, request.threads};
  if (request.op == "softmax_cross_entropy") return loop_launch(request, TRAINCTL_BEST(cross_entropy), job);
  if (request.op == "softmax_cross_entropy_backward")
    return loop_launch(request, TRAINCTL_BEST(cross_entropy_backward), job);
  return loop_launch(request, request.op == "nll" ? TRAINCTL_BEST(nll) : TRAINCTL_BEST(nll_backward), job);
}

std::optional<KernelPlan> plan_pointwise_loss(const KernelRequest& request) {
  if (!all_f32(request)) return std::nullopt;
  KernelPlan plan = row_major_plan(request);
  if (request.op == "pointwise_loss") {
    plan.workspace_bytes = (request.inputs[0]->elements() / pointwise_block + 1) * sizeof(double);
  } else {
    plan.in_place = {{0, 0}, {0, 1}};
  }
  return plan;
}

std::unique_ptr<Launch> prepare_pointwise_loss(const KernelRequest& request, const KernelPlan&) {
  const auto& attributes = as<PointwiseLossAttributes>(*request.attributes);
  const PointwiseLossJob job{static_cast<Distance>(attributes.kind), static_cast<float>(attributes.delta),
                             static_cast<float>(attributes.gamma),   static_cast<float>(attributes.alpha),
                             request.inputs[0]->elements(),          request.threads};
  return loop_launch(
      request, request.op == "pointwise_loss" ? TRAINCTL_BEST(pointwise_loss) : TRAINCTL_BEST(pointwise_loss_backward),
      job);
}

const RegisterLoops registered[] = {
    {"softmax_cross_entropy", plan_class_loss, prepare_class_loss},
    {"softmax_cross_entropy_backward", plan_class_loss, prepare_class_loss},
    {"nll", plan_class_loss, prepare_class_loss},
    {"nll_backward", plan_class_loss, prepare_class_loss},
    {"pointwise_loss", plan_pointwise_loss, prepare_pointwise_loss},
    {"pointwise_loss_backward", plan_pointwise_loss, prepare_pointwise_loss},
};

}  // namespace
}  // namespace trainctl::cpu
