#include "device/planning.h"

#include <algorithm>

namespace trainctl {

bool all_of_type(const KernelRequest& request, DType dtype) {
  return std::ranges::all_of(request.inputs,
                             [&](const TensorType* type) { return type == nullptr || type->dtype == dtype; }) &&
         std::ranges::all_of(request.outputs, [&](const TensorType& type) { return type.dtype == dtype; });
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

KernelPlan uniform_plan(const KernelRequest& request, const Layout& layout, std::string implementation) {
  KernelPlan plan = KernelPlan::row_major(request, std::move(implementation));
  const Shape& shape = request.outputs[0].shape;
  for (std::size_t i = 0; i < request.inputs.size(); ++i) {
    if (request.has(i) && request.inputs[i]->shape == shape) plan.inputs[i] = layout;
  }
  for (std::size_t i = 0; i < request.outputs.size(); ++i) {
    if (request.outputs[i].shape == shape) plan.outputs[i] = layout;
  }
  return plan;
}

std::int64_t stored_elements(const KernelRequest& request, const KernelPlan& plan) {
  const TensorType& type = request.outputs[0];
  return static_cast<std::int64_t>(plan.outputs[0].bytes(type) / size_bytes(type.dtype));
}

}  // namespace trainctl
