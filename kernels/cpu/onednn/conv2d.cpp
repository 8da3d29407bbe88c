// conv2d, conv2d_backward_data and conv2d_backward_weights by oneDNN, in the layouts that it prefers. All three derive
// them from one forward operation, so that they agree on how the activations lie.
#include "ops/conv2d.h"

#include <cstring>

#include "kernels/cpu/onednn/activation_pass.h"
#include "kernels/cpu/onednn/onednn.h"

namespace trainctl::onednn {
namespace {

using From = Binding::From;

/// Types of a convolution's operands, whichever of its three operations is asked for.
struct Operands {
  TensorType x, w, y;
  std::optional<TensorType> bias;
};

/// Weights as oneDNN wants them: with groups an axis of their own.
TensorType grouped(const TensorType& w, std::int64_t groups) {
  if (groups == 1) return w;
  return {w.dtype, {groups, w.shape[0] / groups, w.shape[1], w.shape[2], w.shape[3]}};
}

bool fits(const Operands& operands) {
  const auto real = [](const TensorType& type) { return type.dtype == DType::f32 || type.dtype == DType::bf16; };
  return real(operands.x) && real(operands.w) && real(operands.y) && operands.y.elements() > 0;
}

/// What a kernel decides: the operation, and layouts of x, w and y that can be said in our notation.
struct Choice {
  Operation operation;
  Layout x, w, y;
};

/// `make(any)` with layouts left to oneDNN or, where ours cannot express them, row-major. The roles name the operands
/// that play x, w and y.
template <typename Make>
std::optional<Choice> choose(const Operands& operands, Role x, Role w, Role y, Make make) {
  for (const bool any : {true, false}) {
    const std::optional<Operation> operation = make(any);
    if (!operation) continue;
    const std::optional<Layout> x_layout = operation->desc(x).layout(operands.x.shape);
    const std::optional<Layout> w_layout = operation->desc(w).layout(operands.w.shape);
    const std::optional<Layout> y_layout = operation->desc(y).layout(operands.y.shape);
    if (x_layout && w_layout && y_layout) return Choice{*operation, *x_layout, *w_layout, *y_layout};
  }
  return std::nullopt;
}

Desc described(const TensorType& type, bool any) {
  return any ? Desc::any(type) : Desc::of(type);
}

/// What `make` gives for the fastest algorithm that the request allows and oneDNN has.
template <typename Make>
std::optional<Choice> first_of(const KernelRequest& request, Make make) {
  if (request.fast_math) {
    if (auto choice = make(Algorithm::winograd)) return choice;
  }
  return make(Algorithm::direct);
}

std::optional<Choice> choose_forward(Algorithm algorithm, const Conv2dAttributes& attributes, const Operands& operands,
                                     const PostOps& post_ops) {
  return choose(operands, Role::source, Role::weights, Role::destination, [&](bool any) {
    const Desc bias = operands.bias ? Desc::of(*operands.bias) : Desc();
    return convolution(algorithm, attributes, described(operands.x, any),
                       described(grouped(operands.w, attributes.groups), any), bias, described(operands.y, any),
                       post_ops);
  });
}

/// The backward operation on activations that lie as in the forward one; where that is slow, on whatever oneDNN likes.
template <typename Make>
std::optional<Choice> choose_backward(const Conv2dAttributes& attributes, const Operands& operands, Role x, Role w,
                                      Role y, Make make) {
  const std::optional<Choice> forward = choose_forward(Algorithm::direct, attributes, operands, {});
  if (!forward) return std::nullopt;
  const TensorType weights = grouped(operands.w, attributes.groups);
  const Desc as_x = forward->operation.desc(Role::source), as_y = forward->operation.desc(Role::destination);
  auto choice = choose(operands, x, w, y,
                       [&](bool any) { return make(as_x, described(weights, any), as_y, forward->operation); });
  if (choice) return choice;
  return choose(operands, x, w, y, [&](bool any) {
    return make(described(operands.x, any), described(weights, any), described(operands.y, any), forward->operation);
  });
}

KernelPlan plan_of(const KernelRequest& request, const Choice& choice) {
  KernelPlan plan = KernelPlan::row_major(request, "onednn:" + choice.operation.implementation());
  plan.workspace_bytes = choice.operation.workspace_bytes();
  plan.detail = std::make_shared<const Operation>(choice.operation);
  return plan;
}

const Operation& operation_of(const KernelPlan& plan) {
  return *static_cast<const Operation*>(plan.detail.get());
}

/// y = f(sum + ...) is computed in place of `sum`, which is first copied where the planner gave it other memory.
class SumLaunch final : public Launch {
 public:
  SumLaunch(std::unique_ptr<Launch> launch, std::size_t bytes) : launch_(std::move(launch)), bytes_(bytes) {}
  void run(const LaunchArguments& arguments) override {
    if (arguments.inputs[3] != arguments.outputs[0]) std::memcpy(arguments.outputs[0], arguments.inputs[3], bytes_);
    launch_->run(arguments);
  }

 private:
  std::unique_ptr<Launch> launch_;
  std::size_t bytes_;
};

class ConvolutionKernel final : public Kernel {
 public:
  std::optional<KernelPlan> plan(const KernelRequest& request) const override {
    const auto& attributes = as<Conv2dAttributes>(*request.attributes);
    Operands operands{*request.inputs[0], *request.inputs[1], request.outputs[0], std::nullopt};
    if (request.has(2)) operands.bias = *request.inputs[2];
    if (!fits(operands)) return std::nullopt;
    const bool sum = request.has(3), fused = fuses(attributes.activation);
    if (!fused && operands.y.dtype != DType::f32) return std::nullopt;
    if (!fused && !attributes.activation.keeps_zero()) return std::nullopt;  // of a blocked layout's padding
    const PostOps post_ops{.sum = sum, .activation = fused ? attributes.activation : Activation()};
    const auto choice =
        first_of(request, [&](Algorithm a) { return choose_forward(a, attributes, operands, post_ops); });
    if (!choice) return std::nullopt;
    KernelPlan plan = plan_of(request, *choice);
    plan.inputs[0] = choice->x;
    plan.inputs[1] = choice->w;
    plan.outputs[0] = choice->y;
    if (sum) {
      plan.inputs[3] = choice->y;
      plan.in_place.emplace_back(0, 3);
    }
    return plan;
  }
  std::unique_ptr<Launch> prepare(const KernelRequest& request, const KernelPlan& plan) const override {
    std::vector<Binding> bindings{
        {Role::source, From::input, 0}, {Role::weights, From::input, 1}, {Role::destination, From::output, 0}};
    if (request.has(2)) bindings.push_back({Role::bias, From::input, 2});
    auto result = launch(operation_of(plan), std::move(bindings));
    const std::size_t bytes = plan.outputs[0].bytes(request.outputs[0]);
    if (request.has(3)) result = std::make_unique<SumLaunch>(std::move(result), bytes);
    return then_activate(std::move(result), as<Conv2dAttributes>(*request.attributes).activation,
                         bytes / size_bytes(request.outputs[0].dtype), request.threads);
  }
};

class BackwardDataKernel final : public Kernel {
 public:
  std::optional<KernelPlan> plan(const KernelRequest& request) const override {
    if (request.has(2)) return std::nullopt;
    const auto& attributes = as<Conv2dAttributes>(*request.attributes);
    const Operands operands{request.outputs[0], *request.inputs[1], *request.inputs[0], std::nullopt};
    if (!fits(operands)) return std::nullopt;
    const auto choice = first_of(request, [&](Algorithm algorithm) {
      return choose_backward(attributes, operands, Role::source_gradient, Role::weights, Role::destination_gradient,
                             [&](const Desc& dx, const Desc& w, const Desc& dy, const Operation& forward) {
                               return convolution_backward_data(algorithm, attributes, dx, w, dy, forward);
                             });
    });
    if (!choice) return std::nullopt;
    KernelPlan plan = plan_of(request, *choice);
    plan.inputs[0] = choice->y;
    plan.inputs[1] = choice->w;
    plan.outputs[0] = choice->x;
    return plan;
  }
  std::unique_ptr<Launch> prepare(const KernelRequest&, const KernelPlan& plan) const override {
    return launch(operation_of(plan), {{Role::destination_gradient, From::input, 0},
                                       {Role::weights, From::input, 1},
                                       {Role::source_gradient, From::output, 0}});
  }
};

class BackwardWeightsKernel final : public Kernel {
 public:
  std::optional<KernelPlan> plan(const KernelRequest& request) const override {
    const auto& attributes = as<Conv2dAttributes>(*request.attributes);
    const Operands operands{*request.inputs[0], request.outputs[0], *request.inputs[1], std::nullopt};
    if (!fits(operands)) return std::nullopt;
    const Desc db = request.outputs.size() > 1 ? Desc::of(request.outputs[1]) : Desc();
    const auto choice = first_of(request, [&](Algorithm algorithm) {
      return choose_backward(attributes, operands, Role::source, Role::weights_gradient, Role::destination_gradient,
                             [&](const Desc& x, const Desc& dw, const Desc& dy, const Operation& forward) {
                               return convolution_backward_weights(algorithm, attributes, x, dw, db, dy, forward);
                             });
    });
    if (!choice) return std::nullopt;
    KernelPlan plan = plan_of(request, *choice);
    plan.inputs[0] = choice->x;
    plan.inputs[1] = choice->y;
    plan.outputs[0] = choice->w;
    return plan;
  }
  std::unique_ptr<Launch> prepare(const KernelRequest& request, const KernelPlan& plan) const override {
    std::vector<Binding> bindings{{Role::source, From::input, 0},
                                  {Role::destination_gradient, From::input, 1},
                                  {Role::weights_gradient, From::output, 0}};
    if (request.outputs.size() > 1) bindings.push_back({Role::bias_gradient, From::output, 1});
    return launch(operation_of(plan), std::move(bindings));
  }
};

const RegisterKernel<ConvolutionKernel> forward{"conv2d", "cpu", priority::library, "onednn"};
const RegisterKernel<BackwardDataKernel> backward_data{"conv2d_backward_data", "cpu", priority::library, "onednn"};
const RegisterKernel<BackwardWeightsKernel> backward_weights{"conv2d_backward_weights", "cpu", priority::library,
                                                             "onednn"};

}  // namespace
}  // namespace trainctl::onednn
