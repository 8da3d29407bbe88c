// sgd, adam, rmsprop, adagrad, adadelta, lion, lamb_direction, trust_step: one pass over a group's flat buffers, in
// place.
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
  if (request.op == "adagrad" || request.op == "adadelta") plan.in_place = {{0, 0}, {1, 2}, {2, 3}};
  if (request.op == "lion") plan.in_place = {{0, 0}, {1, 2}};
  if (request.op == "lamb_direction") plan.in_place = {{0, 1}, {1, 2}, {2, 3}, {3, 4}};
  if (request.op == "trust_step") {
    const long runs = request.inputs[0]->elements() / trust_block + request.inputs[2]->elements();
    plan.workspace_bytes = static_cast<std::size_t>(runs) * 2 * sizeof(double);
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

std::unique_ptr<Launch> prepare_adagrad(const KernelRequest& request, const KernelPlan&) {
  const auto& a = as<AdagradAttributes>(*request.attributes);
  return loop_launch(request, TRAINCTL_BEST(adagrad),
                     AdagradJob{parameters(request), request.threads, a.lr_decay, a.eps});
}

std::unique_ptr<Launch> prepare_adadelta(const KernelRequest& request, const KernelPlan&) {
  const auto& a = as<AdadeltaAttributes>(*request.attributes);
  return loop_launch(request, TRAINCTL_BEST(adadelta), AdadeltaJob{parameters(request), request.threads, a.rho, a.eps});
}

std::unique_ptr<Launch> prepare_lion(const KernelRequest& request, const KernelPlan&) {
  const auto& a = as<LionAttributes>(*request.attributes);
  return loop_launch(request, TRAINCTL_BEST(lion), LionJob{parameters(request), request.threads, a.beta1, a.beta2});
}

std::unique_ptr<Launch> prepare_lamb(const KernelRequest& request, const KernelPlan&) {
  const auto& a = as<LambAttributes>(*request.attributes);
  return loop_launch(request, TRAINCTL_BEST(lamb_direction),
                     LambJob{parameters(request), request.threads, a.beta1, a.beta2, a.eps});
}

std::unique_ptr<Launch> prepare_trust_step(const KernelRequest& request, const KernelPlan&) {
  return loop_launch(request, TRAINCTL_BEST(trust_step), TrustJob{request.inputs[2]->elements() - 1, request.threads});
}

const RegisterLoops registered[] = {
    {"sgd", plan_optimizer, prepare_sgd},
    {"adam", plan_optimizer, prepare_adam},
    {"rmsprop", plan_optimizer, prepare_rmsprop},
    {"adagrad", plan_optimizer, prepare_adagrad},
    {"adadelta", plan_optimizer, prepare_adadelta},
    {"lion", plan_optimizer, prepare_lion},
    {"lamb_direction", plan_optimizer, prepare_lamb},
    {"trust_step", plan_optimizer, prepare_trust_step},
};

}  // namespace
}  // namespace trainctl::cpu
