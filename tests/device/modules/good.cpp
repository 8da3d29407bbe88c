// A module that brings a kernel for an op of its own.
#include "device/kernel.h"
#include "device/module.h"

namespace {

using namespace trainctl;

struct Nothing final : Kernel {
  std::optional<KernelPlan> plan(const KernelRequest& request) const override {
    return KernelPlan::row_major(request, "nothing");
  }
  std::unique_ptr<Launch> prepare(const KernelRequest&, const KernelPlan&) const override { return nullptr; }
};
const RegisterKernel<Nothing> registered{"module_op", "cpu", priority::general, "from_module"};

}  // namespace

TRAINCTL_MODULE("good")
