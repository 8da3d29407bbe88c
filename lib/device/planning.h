// What kernels' planning functions have in common on every device.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "device/kernel.h"

namespace trainctl {

using PlanFunction = std::optional<KernelPlan> (*)(const KernelRequest&);
using PrepareFunction = std::unique_ptr<Launch> (*)(const KernelRequest&, const KernelPlan&);

/// A kernel made of its two functions.
class FunctionKernel final : public Kernel {
 public:
  FunctionKernel(PlanFunction plan, PrepareFunction prepare) : plan_(plan), prepare_(prepare) {}
  std::optional<KernelPlan> plan(const KernelRequest& request) const override { return plan_(request); }
  std::unique_ptr<Launch> prepare(const KernelRequest& request, const KernelPlan& plan) const override {
    return prepare_(request, plan);
  }

 private:
  PlanFunction plan_;
  PrepareFunction prepare_;
};

/// Whether all operands that are present, outputs too, have this element type.
bool all_of_type(const KernelRequest& request, DType dtype);
inline bool all_f32(const KernelRequest& request) {
  return all_of_type(request, DType::f32);
}
/// Layout in which input i lies; row-major where the request does not say.
Layout given_layout(const KernelRequest& request, std::size_t input);
/// The layout of the first input of the first output's shape that is not row-major; row-major if there is none.
Layout shared_layout(const KernelRequest& request);
/// `layout` for all operands of the first output's shape, row-major for the others.
KernelPlan uniform_plan(const KernelRequest& request, const Layout& layout, std::string implementation);
/// Elements that output 0 takes in its layout, padding included.
std::int64_t stored_elements(const KernelRequest& request, const KernelPlan& plan);

}  // namespace trainctl
