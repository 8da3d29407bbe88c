#include "kernels/cpu/loops/loop_kernel.h"

#include <algorithm>

namespace trainctl::cpu {
namespace {

class LoopKernel final : public Kernel {
 public:
  LoopKernel(PlanFunction plan, PrepareFunction prepare) : plan_(plan), prepare_(prepare) {}
  std::optional<KernelPlan> plan(const KernelRequest& request) const override { return plan_(request); }
  std::unique_ptr<Launch> prepare(const KernelRequest& request, const KernelPlan& plan) const override {
    return prepare_(request, plan);
  }

 private:
  PlanFunction plan_;
  PrepareFunction prepare_;
};

}  // namespace

RegisterLoops::RegisterLoops(std::string op, PlanFunction plan, PrepareFunction prepare, int priority,
                             std::string name) {
  KernelRegistry::instance().add(
      {std::move(op), "cpu", priority, std::move(name), std::make_unique<LoopKernel>(plan, prepare)});
}

std::string loops_implementation() {
  return std::string("loops:") + name(isa());
}

bool all_f32(const KernelRequest& request) {
  return std::ranges::all_of(request.inputs,
                             [](const TensorType* type) { return type == nullptr || type->dtype == DType::f32; }) &&
         std::ranges::all_of(request.outputs, [](const TensorType& type) { return type.dtype == DType::f32; });
}

Layout given_layout(const KernelRequest& request, std::size_t input) {
  return input < request.input_layouts.size() ? request.input_layouts[input] : Layout();
}

Layout shared_layout(const KernelRequest& request) {
  for (std::size_t i = 0; i < request.inputs.size(); ++i) {
    const Layout layout = given_layout(request, i);
    if (request.has(i) && request.inputs[i]->shape == request.outputs[0].shape && !layout.row_major()) return layout;
  }
  return Layout();
}

KernelPlan row_major_plan(const KernelRequest& request) {
  return KernelPlan::row_major(request, loops_implementation());
}

KernelPlan uniform_plan(const KernelRequest& request, const Layout& layout) {
  KernelPlan plan = row_major_plan(request);
  const Shape& shape = request.outputs[0].shape;
  for (std::size_t i = 0; i < request.inputs.size(); ++i) {
    if (request.has(i) && request.inputs[i]->shape == shape) plan.inputs[i] = layout;
  }
  for (std::size_t i = 0; i < request.outputs.size(); ++i) {
    if (request.outputs[i].shape == shape) plan.outputs[i] = layout;
  }
  return plan;
}

long stored_elements(const KernelRequest& request, const KernelPlan& plan) {
  const TensorType& type = request.outputs[0];
  return static_cast<long>(plan.outputs[0].bytes(type) / size_bytes(type.dtype));
}

std::optional<KernelPlan> plan_row_major_f32(const KernelRequest& request) {
  if (!all_f32(request)) return std::nullopt;
  return row_major_plan(request);
}

}  // namespace trainctl::cpu
