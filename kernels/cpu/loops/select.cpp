// select: one of two tensors, whole.
#include <cstring>

#include "kernels/cpu/loops/loop_kernel.h"

namespace trainctl::cpu {
namespace {

struct SelectJob {
  std::size_t bytes;
};

void select(const SelectJob& job, const Operands& operands) {
  const void* chosen = operands.in<void>(*operands.in<std::int32_t>(0) != 0 ? 1 : 2);
  if (chosen != operands.out<void>(0)) std::memcpy(operands.out<void>(0), chosen, job.bytes);
}

std::optional<KernelPlan> plan_select(const KernelRequest& request) {
  KernelPlan plan = row_major_plan(request);
  plan.in_place = {{0, 2}, {0, 1}};
  return plan;
}

std::unique_ptr<Launch> prepare_select(const KernelRequest& request, const KernelPlan&) {
  return loop_launch(request, select, SelectJob{request.outputs[0].bytes()});
}

const RegisterLoops registered("select", plan_select, prepare_select);

}  // namespace
}  // namespace trainctl::cpu
