#include "device/kernel.h"

#include <algorithm>

#include "base/error.h"

namespace trainctl {

KernelPlan KernelPlan::row_major(const KernelRequest& request, std::string implementation) {
  KernelPlan plan;
  plan.inputs.resize(request.inputs.size());
  plan.outputs.resize(request.outputs.size());
  plan.implementation = std::move(implementation);
  return plan;
}

KernelRegistry& KernelRegistry::instance() {
  static KernelRegistry registry;
  return registry;
}

void KernelRegistry::add(Entry entry) {
  for (const auto& other : entries_) {
    if (other->op == entry.op && other->device == entry.device && other->priority == entry.priority) {
      fail(ErrorKind::internal, "kernels '{}' and '{}' for op '{}' on {} have the same priority {}", other->name,
           entry.name, entry.op, entry.device, entry.priority);
    }
  }
  entries_.push_back(std::make_unique<Entry>(std::move(entry)));
}

std::vector<const KernelRegistry::Entry*> KernelRegistry::find(std::string_view op, std::string_view device) const {
  std::vector<const Entry*> found;
  for (const auto& entry : entries_) {
    if ((entry->op == op || entry->op == "*") && entry->device == device) found.push_back(entry.get());
  }
  std::ranges::sort(found, [](const Entry* a, const Entry* b) { return a->priority > b->priority; });
  return found;
}

}  // namespace trainctl
