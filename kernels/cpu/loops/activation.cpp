// activation, activation_backward, add (with its activation).
#include "ops/activation.h"

#include "kernels/cpu/loops/activation_loops.h"
#include "kernels/cpu/loops/loop_kernel.h"
#include "ops/elementwise.h"

namespace trainctl::cpu {
namespace {

static_assert(static_cast<int>(Activation::Kind::softplus) == static_cast<int>(Curve::softplus) &&
              static_cast<int>(Activation::Kind::gelu) == static_cast<int>(Curve::gelu));

Activation activation_of(const KernelRequest& request) {
  if (request.op == "add") {
    const auto* attributes = dynamic_cast<const AddAttributes*>(request.attributes);
    return attributes ? attributes->activation : Activation();
  }
  return as<ActivationAttributes>(*request.attributes).activation;
}

std::optional<KernelPlan> plan_activation(const KernelRequest& request) {
  if (!all_f32(request)) return std::nullopt;
  // The padding of a blocked layout must stay zero, and sigmoid(0) is not.
  const bool keeps_zero = activation_of(request).keeps_zero() || request.op == "activation_backward";
  KernelPlan plan = uniform_plan(request, keeps_zero ? shared_layout(request) : Layout());
  for (int i = 0; i < static_cast<int>(request.inputs.size()); ++i) plan.in_place.push_back({0, i});
  return plan;
}

std::unique_ptr<Launch> prepare_activation(const KernelRequest& request, const KernelPlan& plan) {
  const Activation activation = activation_of(request);
  const ActivationJob job{static_cast<Curve>(activation.kind), static_cast<float>(activation.alpha),
                          stored_elements(request, plan), request.threads};
  if (request.op == "add") return loop_launch(request, TRAINCTL_BEST(add), job);
  return loop_launch(request,
                     request.op == "activation" ? TRAINCTL_BEST(activation) : TRAINCTL_BEST(activation_backward), job);
}

const RegisterLoops registered[] = {
    {"activation", plan_activation, prepare_activation},
    {"activation_backward", plan_activation, prepare_activation},
    {"add", plan_activation, prepare_activation},
};

}  // namespace
}  // namespace trainctl::cpu
