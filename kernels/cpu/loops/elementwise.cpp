// multiply, scale, power, clamp, moving_average, cast, dropout.
#include "ops/elementwise.h"

#include <memory>
#include <vector>

#include "kernels/cpu/loops/elementwise_loops.h"
#include "kernels/cpu/loops/loop_kernel.h"
#include "ops/norm.h"

namespace trainctl::cpu {
namespace {

std::optional<KernelPlan> plan_elementwise(const KernelRequest& request) {
  if (!all_f32(request)) return std::nullopt;
  KernelPlan plan = uniform_plan(request, shared_layout(request));
  for (int i = 0; i < static_cast<int>(request.inputs.size()); ++i) {
    if (request.has(i) && request.inputs[i]->shape == request.outputs[0].shape) plan.in_place.push_back({0, i});
  }
  return plan;
}

// The Philox index of an element is its row-major number.
std::optional<KernelPlan> plan_dropout(const KernelRequest& request) {
  if (request.inputs[0]->dtype != DType::f32) return std::nullopt;
  KernelPlan plan = row_major_plan(request);
  plan.in_place = {{0, 0}};
  return plan;
}

std::unique_ptr<Launch> prepare_elementwise(const KernelRequest& request, const KernelPlan& plan) {
  const ElementwiseJob job{stored_elements(request, plan), request.threads};
  if (request.op == "multiply") return loop_launch(request, TRAINCTL_BEST(multiply), job);
  return loop_launch(request, request.op == "scale" ? TRAINCTL_BEST(scale) : TRAINCTL_BEST(clamp), job);
}

std::optional<KernelPlan> plan_moving_average(const KernelRequest& request) {
  const auto pairs = static_cast<int>(request.outputs.size());
  if (pairs == 1) return plan_elementwise(request);
  if (!all_f32(request)) return std::nullopt;
  KernelPlan plan = row_major_plan(request);
  for (int k = 0; k < pairs; ++k) plan.in_place.insert(plan.in_place.end(), {{k, k}, {k, pairs + k}});
  return plan;
}

std::unique_ptr<Launch> prepare_moving_average(const KernelRequest& request, const KernelPlan& plan) {
  struct Pairs {
    std::vector<long> elements;
    std::vector<float> scales;
  };
  const auto& attributes = as<MovingAverageAttributes>(*request.attributes);
  const auto pairs = std::make_shared<Pairs>();
  for (const TensorType& output : request.outputs) pairs->elements.push_back(output.elements());
  if (pairs->elements.size() == 1) pairs->elements[0] = stored_elements(request, plan);
  pairs->scales.assign(attributes.scales.begin(), attributes.scales.end());
  const AverageJob job{request.threads, static_cast<int>(pairs->elements.size()), static_cast<float>(attributes.rate),
                       pairs->elements.data(), pairs->scales.data()};
  return loop_launch(request, TRAINCTL_BEST(moving_average), job, pairs);
}

std::unique_ptr<Launch> prepare_power(const KernelRequest& request, const KernelPlan& plan) {
  ElementwiseJob job{stored_elements(request, plan), request.threads};
  job.exponent = static_cast<float>(as<PowerAttributes>(*request.attributes).exponent);
  return loop_launch(request, TRAINCTL_BEST(power), job);
}

std::optional<KernelPlan> plan_cast(const KernelRequest& request) {
  const DType from = request.inputs[0]->dtype, to = request.outputs[0].dtype;
  if (!(from == DType::f32 && to == DType::bf16) && !(from == DType::bf16 && to == DType::f32)) return std::nullopt;
  return uniform_plan(request, shared_layout(request));
}

std::unique_ptr<Launch> prepare_cast(const KernelRequest& request, const KernelPlan& plan) {
  const ElementwiseJob job{stored_elements(request, plan), request.threads};
  return loop_launch(
      request, request.outputs[0].dtype == DType::bf16 ? TRAINCTL_BEST(cast_to_bf16) : TRAINCTL_BEST(cast_from_bf16),
      job);
}

std::unique_ptr<Launch> prepare_dropout(const KernelRequest& request, const KernelPlan& plan) {
  ElementwiseJob job{stored_elements(request, plan), request.threads};
  job.stream = as<DropoutAttributes>(*request.attributes).stream;
  return loop_launch(request, TRAINCTL_BEST(dropout), job);
}

const RegisterLoops registered[] = {
    {"multiply", plan_elementwise, prepare_elementwise},
    {"scale", plan_elementwise, prepare_elementwise},
    {"power", plan_elementwise, prepare_power},
    {"clamp", plan_elementwise, prepare_elementwise},
    {"moving_average", plan_moving_average, prepare_moving_average},
    {"cast", plan_cast, prepare_cast},
    {"dropout", plan_dropout, prepare_dropout},
};

}  // namespace
}  // namespace trainctl::cpu
