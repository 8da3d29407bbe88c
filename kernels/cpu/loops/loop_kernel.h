// Kernels that are a planning function, a preparing function and a loop.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "device/planning.h"
#include "kernels/cpu/dispatch.h"

namespace trainctl::cpu {

/// A launch that calls a loop with its job. `owned` keeps alive what the job points to.
template <typename Job>
class LoopLaunch final : public Launch {
 public:
  using Function = void(const Job&, const Operands&);
  LoopLaunch(const KernelRequest& request, Function* function, Job job, std::shared_ptr<const void> owned)
      : inputs_(static_cast<int>(request.inputs.size())),
        outputs_(static_cast<int>(request.outputs.size())),
        function_(function),
        job_(job),
        owned_(std::move(owned)) {}
  void run(const LaunchArguments& a) override {
    function_(job_, {a.inputs, a.outputs, a.workspace, a.residual, inputs_, outputs_});
  }

 private:
  int inputs_;
  int outputs_;
  Function* function_;
  Job job_;
  std::shared_ptr<const void> owned_;
};

template <typename Job>
std::unique_ptr<Launch> loop_launch(const KernelRequest& request, void (*function)(const Job&, const Operands&),
                                    Job job, std::shared_ptr<const void> owned = nullptr) {
  return std::make_unique<LoopLaunch<Job>>(request, function, job, std::move(owned));
}

/// Registers a kernel "loops" for an op, made of two functions: a table of these is a family's registration.
struct RegisterLoops {
  RegisterLoops(std::string op, PlanFunction plan, PrepareFunction prepare, int priority = priority::general,
                std::string name = "loops");
};

/// "loops:v4".
std::string loops_implementation();

/// Row-major everywhere.
KernelPlan row_major_plan(const KernelRequest& request);
/// `layout` for all operands of the first output's shape, row-major for the others.
KernelPlan uniform_plan(const KernelRequest& request, const Layout& layout);
/// A planning function for kernels that are row-major f32 throughout.
std::optional<KernelPlan> plan_row_major_f32(const KernelRequest& request);

}  // namespace trainctl::cpu
