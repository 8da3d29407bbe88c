// Convolutions that want their weights channels-last, as tensor cores do, by the CPU's own kernels.
#pragma once

#include <cstring>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/error.h"
#include "device/kernel.h"
#include "device/layout.h"

namespace trainctl::test {

/// Another kernel's weights (operand 1), or the gradient of them (result 0), channels-last: they are reordered in the
/// launch, element by element. While it is switched on.
class ChannelsLastWeights final : public Kernel {
 public:
  static inline bool on = false;
  struct SwitchedOn {
    SwitchedOn() { on = true; }
    ~SwitchedOn() { on = false; }
  };

  std::optional<KernelPlan> plan(const KernelRequest& request) const override {
    if (!on) return std::nullopt;
    const Inner inner(*this, request);
    if (!inner.plan) return std::nullopt;
    KernelPlan plan = *inner.plan;
    (gives_weights(request) ? plan.outputs[0] : plan.inputs[1]) = Layout("acdb");
    plan.workspace_bytes = aligned(plan.workspace_bytes) + inner.weights_bytes();
    return plan;
  }

  std::unique_ptr<Launch> prepare(const KernelRequest& request, const KernelPlan&) const override {
    const Inner inner(*this, request);
    auto launch = std::make_unique<Reordered>();
    launch->inner = inner.kernel->prepare(inner.request, *inner.plan);
    launch->type = inner.weights();
    launch->layout = inner.layout();
    launch->gives = gives_weights(request);
    launch->offset = aligned(inner.plan->workspace_bytes);
    launch->bytes = inner.weights_bytes();
    launch->operands = request.inputs.size();
    launch->results = request.outputs.size();
    return launch;
  }

 private:
  static bool gives_weights(const KernelRequest& request) { return request.op == "conv2d_backward_weights"; }
  static std::size_t aligned(std::size_t bytes) { return (bytes + 63) / 64 * 64; }

  /// The request as the next kernel sees it, its weights lying row-major.
  struct Inner {
    std::vector<Layout> layouts;
    KernelRequest request;
    const Kernel* kernel = nullptr;
    std::optional<KernelPlan> plan;

    Inner(const Kernel& self, const KernelRequest& outer)
        : layouts(outer.input_layouts.begin(), outer.input_layouts.end()), request(outer) {
      if (!gives_weights(outer) && layouts.size() > 1) layouts[1] = Layout();
      request.input_layouts = layouts;
      for (const KernelRegistry::Entry* entry : KernelRegistry::instance().find(outer.op, "cpu")) {
        kernel = entry->kernel.get();
        if (kernel != &self && (plan = kernel->plan(request))) return;
      }
    }
    TensorType weights() const { return gives_weights(request) ? request.outputs[0] : *request.inputs[1]; }
    const Layout& layout() const { return gives_weights(request) ? plan->outputs[0] : plan->inputs[1]; }
    std::size_t weights_bytes() const { return layout().bytes(weights()); }
  };

  struct Reordered final : Launch {
    std::unique_ptr<Launch> inner;
    TensorType type;
    Layout layout;
    bool gives = false;
    std::size_t offset = 0, bytes = 0, operands = 0, results = 0;

    void run(const LaunchArguments& arguments) override {
      std::byte* own = static_cast<std::byte*>(arguments.workspace) + offset;
      std::vector<void*> inputs(arguments.inputs, arguments.inputs + operands);
      std::vector<void*> outputs(arguments.outputs, arguments.outputs + results);
      if (!gives) {
        std::memset(own, 0, bytes);
        copy(own, layout, inputs[1], Layout("acdb"));
      }
      void* const placed = gives ? std::exchange(outputs[0], own) : std::exchange(inputs[1], own);
      LaunchArguments changed = arguments;
      changed.inputs = inputs.data();
      changed.outputs = outputs.data();
      inner->run(changed);
      if (gives) copy(placed, Layout("acdb"), own, layout);
    }
    void copy(void* to, const Layout& to_layout, const void* from, const Layout& from_layout) const {
      std::int64_t at[4];
      const Shape& shape = type.shape;
      for (at[0] = 0; at[0] < shape[0]; ++at[0])
        for (at[1] = 0; at[1] < shape[1]; ++at[1])
          for (at[2] = 0; at[2] < shape[2]; ++at[2])
            for (at[3] = 0; at[3] < shape[3]; ++at[3])
              static_cast<float*>(to)[to_layout.offset(type, at)] =
                  static_cast<const float*>(from)[from_layout.offset(type, at)];
    }
  };
};

}  // namespace trainctl::test
