#include "kernels/cpu/loops/loop_kernel.h"

namespace trainctl::cpu {

RegisterLoops::RegisterLoops(std::string op, PlanFunction plan, PrepareFunction prepare, int priority,
                             std::string name) {
  KernelRegistry::instance().add(
      {std::move(op), "cpu", priority, std::move(name), std::make_unique<FunctionKernel>(plan, prepare)});
}

std::string loops_implementation() {
  return std::string("loops:") + name(isa());
}

KernelPlan row_major_plan(const KernelRequest& request) {
  return KernelPlan::row_major(request, loops_implementation());
}

KernelPlan uniform_plan(const KernelRequest& request, const Layout& layout) {
  return trainctl::uniform_plan(request, layout, loops_implementation());
}

std::optional<KernelPlan> plan_row_major_f32(const KernelRequest& request) {
  if (!all_f32(request)) return std::nullopt;
  return row_major_plan(request);
}

}  // namespace trainctl::cpu
