// sgd, adam, rmsprop: one pass over a group's flat buffers, in place.
#include "ops/optimizer.h"

#include "kernels/cpu/loops/loop_kernel.h"
#include "kernels/cpu/loops/optimizer_loops.h"

namespace trainctl::cpu {
namespace {

std::optional<KernelPlan> plan_optimizer(const KernelRequest& request) {
  if (request.inputs[0]->dtype != DType::f32 || request.inputs[1]->dtype != DType::f32) return std::nullopt;
  KernelPlan plan = row_major_plan(request);
  plan.in_place = {{0, 0}};
  if (request.op == "sgd" && request.has(2)) plan.in_place.push_back({1, 2});
  if (request.op == "adam") plan.in_place = {{0, 0}, {1, 2}, {2, 3}, {3, 4}};
  if (request.op == "rmsprop") {
    plan.in_place.push_back({1, 2});
    if (request.has(3)) plan.in_place.push_back({2, 3});
    if (request.has(4)) plan.in_place.push_back({request.has(3) ? 3 : 2, 4});
  }
  return plan;
}

long parameters(const KernelRequest& request) {
  return request.inputs[0]->elements();
}

std::unique_ptr<Launch> prepare_sgd(const KernelRequest& request, const KernelPlan&) {
  const SgdJob job{parameters(request), request.threads, as<SgdAttributes>(*request.attributes).nesterov};
  return loop_launch(request, TRAINCTL_BEST(sgd), job);
}

std::unique_ptr<Launch> prepare_adam(const KernelRequest& request, const KernelPlan&) {
  const auto& a = as<AdamAttributes>(*request.attributes);
  const AdamJob job{parameters(request), request.threads, a.beta1, a.beta2, a.eps, a.decoupled};
  return loop_launch(request, TRAINCTL_BEST(adam), job);
}

std::unique_ptr<Launch> prepare_rmsprop(const KernelRequest& request, const KernelPlan&) {
  const auto& a = as<RmsPropAttributes>(*request.attributes);
  const RmsPropJob job{parameters(request), request.threads, a.alpha, a.eps};
  return loop_launch(request, TRAINCTL_BEST(rmsprop), job);
}

const RegisterLoops registered[] = {
    {"sgd", plan_optimizer, prepare_sgd},
    {"adam", plan_optimizer, prepare_adam},
    {"rmsprop", plan_optimizer, prepare_rmsprop},
};

}  // namespace
}  // namespace trainctl::cpu
