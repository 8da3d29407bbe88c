#include "program/tune.h"

#include <limits>
#include <numeric>
#include <vector>

#include "base/error.h"
#include "base/log.h"

namespace trainctl {
namespace {

/// Bytes of the operands of one launch, as its plan wants them; 0 for one left out.
struct OperandBytes {
  OperandBytes(const KernelRequest& request, const KernelPlan& plan) {
    for (std::size_t i = 0; i < request.inputs.size(); ++i) {
      if (!request.has(i)) {
        inputs.push_back(0);
        continue;
      }
      TensorType type = *request.inputs[i];
      if (!plan.input_dtypes.empty()) type.dtype = plan.input_dtypes[i].value_or(type.dtype);
      inputs.push_back(plan.inputs[i].bytes(type));
    }
    for (std::size_t i = 0; i < request.outputs.size(); ++i)
      outputs.push_back(plan.outputs[i].bytes(request.outputs[i]));
    total = std::reduce(inputs.begin(), inputs.end(), plan.workspace_bytes + plan.residual_bytes);
    total = std::reduce(outputs.begin(), outputs.end(), total);
  }
  std::vector<std::size_t> inputs, outputs;
  std::size_t total;  ///< with workspace and residual
};

/// Memory for the operands of one launch, zeroed.
class Operands {
 public:
  Operands(Device& device, const OperandBytes& bytes, const KernelPlan& plan)
      : workspace_(device, plan.workspace_bytes), residual_(device, plan.residual_bytes) {
    for (const std::size_t each : bytes.inputs) inputs_.push_back(take(device, each));
    for (const std::size_t each : bytes.outputs) outputs_.push_back(take(device, each));
    arguments_ = {.inputs = inputs_.data(),
                  .outputs = outputs_.data(),
                  .workspace = workspace_.data(),
                  .residual = residual_.data(),
                  .stream = device.stream()};
  }
  const LaunchArguments& arguments() const { return arguments_; }

 private:
  void* take(Device& device, std::size_t bytes) { return owned_.emplace_back(device, bytes).data(); }

  std::vector<Buffer> owned_;
  Buffer workspace_, residual_;
  std::vector<void*> inputs_, outputs_;
  LaunchArguments arguments_;
};

bool same_layouts(const KernelPlan& a, const KernelPlan& b) {
  return a.inputs == b.inputs && a.outputs == b.outputs && a.input_dtypes == b.input_dtypes;
}

/// Seconds that an implementation takes; infinity if the kernel no longer has it, or it asks for other layouts or for
/// more than `most_bytes`, or fails.
double time_of(Device& device, const PlannedStep& step, KernelRequest request, const std::string& implementation,
               std::size_t most_bytes) {
  constexpr double never = std::numeric_limits<double>::infinity();
  request.chosen = implementation;
  const auto plan = step.kernel->kernel->plan(request);
  if (!plan || plan->implementation != implementation || !same_layouts(*plan, step.plan)) return never;
  const OperandBytes bytes(request, *plan);
  if (bytes.total > most_bytes) return never;
  try {
    const auto launch = step.kernel->kernel->prepare(request, *plan);
    const Operands operands(device, bytes, *plan);
    return device.time({.launch = launch.get(), .arguments = operands.arguments(), .after = {}});
  } catch (const Error& error) {  // a device that is lost says so again when it is needed
    log::debug("tune: {}: {}: {}", step.op->name(), implementation, error.what());
    return never;
  }
}

}  // namespace

bool tune(Device& device, const Plan& plan, Choices& choices, std::size_t most_bytes) {
  bool changed = false;
  for (const PlannedStep& step : plan.steps) {
    if (step.plan.alternatives.size() < 2) continue;
    const StepRequest request(plan, step);
    const auto [choice, added] = choices.try_emplace(choice_key(plan.options.device, request.get()));
    if (added) {
      double least = std::numeric_limits<double>::infinity();
      choice->second = step.plan.implementation;
      for (const std::string& implementation : step.plan.alternatives) {
        const double seconds = time_of(device, step, request.get(), implementation, most_bytes);
        log::debug("tune: {}: {}: {:.2f} us", choice->first, implementation, 1e6 * seconds);
        if (seconds >= least) continue;
        least = seconds;
        choice->second = implementation;
      }
    }
    changed |= choice->second != step.plan.implementation;
  }
  return changed;
}

}  // namespace trainctl
