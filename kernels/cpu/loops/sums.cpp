// global_norm, absolute_error_sum, count_correct.
#include <algorithm>
#include <vector>

#include "kernels/cpu/loops/loop_kernel.h"
#include "kernels/cpu/loops/sums_loops.h"
#include "ops/metric.h"

namespace trainctl::cpu {
namespace {

std::vector<SumBlock> blocks_of(const KernelRequest& request) {
  // absolute_error_sum walks both of its operands together.
  const std::size_t inputs = request.op == "global_norm" ? request.inputs.size() : 1;
  std::vector<SumBlock> blocks;
  for (std::size_t i = 0; i < inputs; ++i) {
    const long count = request.has(i) ? request.inputs[i]->elements() : 0;
    for (long begin = 0; begin < count; begin += sum_block)
      blocks.push_back({static_cast<int>(i), begin, std::min(begin + sum_block, count)});
  }
  return blocks;
}

std::optional<KernelPlan> plan_sum(const KernelRequest& request) {
  for (const TensorType* type : request.inputs) {
    if (type && type->dtype != DType::f32) return std::nullopt;
  }
  KernelPlan plan = row_major_plan(request);
  plan.workspace_bytes = blocks_of(request).size() * sizeof(double);
  return plan;
}

std::unique_ptr<Launch> prepare_sum(const KernelRequest& request, const KernelPlan&) {
  auto blocks = std::make_shared<std::vector<SumBlock>>(blocks_of(request));
  const SumJob job{blocks->data(), static_cast<long>(blocks->size()), request.threads};
  return loop_launch(request,
                     request.op == "global_norm" ? TRAINCTL_BEST(global_norm) : TRAINCTL_BEST(absolute_error_sum), job,
                     blocks);
}

std::optional<KernelPlan> plan_count(const KernelRequest& request) {
  if (request.inputs[0]->dtype != DType::f32) return std::nullopt;
  KernelPlan plan = row_major_plan(request);
  plan.workspace_bytes = static_cast<std::size_t>(std::max(request.threads, 1)) * sizeof(long);
  return plan;
}

std::unique_ptr<Launch> prepare_count(const KernelRequest& request, const KernelPlan&) {
  const Shape& scores = request.inputs[0]->shape;
  const long k = as<CountCorrectAttributes>(*request.attributes).k;
  return loop_launch(request, TRAINCTL_BEST(count_correct),
                     CountJob{scores[0], scores[1], scores.slice(2).elements(), k,
                              request.inputs[1]->dtype == DType::i64, request.threads});
}

const RegisterLoops registered[] = {
    {"global_norm", plan_sum, prepare_sum},
    {"absolute_error_sum", plan_sum, prepare_sum},
    {"count_correct", plan_count, prepare_count},
};

}  // namespace
}  // namespace trainctl::cpu
