// select: all of one row of tensors or all of another.
#include <cstring>
#include <memory>
#include <vector>

#include "kernels/cpu/loops/loop_kernel.h"

namespace trainctl::cpu {
namespace {

struct SelectJob {
  const std::size_t* bytes;
};

void select(const SelectJob& job, const Operands& operands) {
  const int count = operands.output_count, first = *operands.in<std::int32_t>(0) != 0 ? 1 : 1 + count;
  for (int k = 0; k < count; ++k) {
    const void* chosen = operands.in<void>(first + k);
    if (chosen != operands.out<void>(k)) std::memcpy(operands.out<void>(k), chosen, job.bytes[k]);
  }
}

std::optional<KernelPlan> plan_select(const KernelRequest& request) {
  KernelPlan plan = row_major_plan(request);
  const auto count = static_cast<int>(request.outputs.size());
  for (int k = 0; k < count; ++k) plan.in_place.insert(plan.in_place.end(), {{k, 1 + count + k}, {k, 1 + k}});
  return plan;
}

std::unique_ptr<Launch> prepare_select(const KernelRequest& request, const KernelPlan&) {
  auto bytes = std::make_shared<std::vector<std::size_t>>();
  for (const TensorType& output : request.outputs) bytes->push_back(output.bytes());
  return loop_launch(request, select, SelectJob{bytes->data()}, bytes);
}

const RegisterLoops registered("select", plan_select, prepare_select);

}  // namespace
}  // namespace trainctl::cpu
