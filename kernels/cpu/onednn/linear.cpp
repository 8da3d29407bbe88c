// linear, linear_backward_data and linear_backward_weights by oneDNN's matrix product, on row-major operands: weights
// need no working copy.
#include "ops/linear.h"

#include "kernels/cpu/onednn/activation_pass.h"
#include "kernels/cpu/onednn/column_sum_loops.h"
#include "kernels/cpu/onednn/onednn.h"

namespace trainctl::onednn {
namespace {

using From = Binding::From;

/// (..., K) as (rows, K).
TensorType as_matrix(const TensorType& type) {
  const std::int64_t columns = type.shape.rank() ? type.shape[-1] : 1;
  return {type.dtype, {columns ? type.elements() / columns : 0, columns}};
}

TensorType transpose(const TensorType& type) {
  return {type.dtype, {type.shape[1], type.shape[0]}};
}

bool is_real(const TensorType& type) {
  return type.dtype == DType::f32 || type.dtype == DType::bf16;
}

std::optional<KernelPlan> plan_of(const KernelRequest& request, const std::optional<Operation>& operation) {
  if (!operation) return std::nullopt;
  KernelPlan plan = KernelPlan::row_major(request, "onednn:" + operation->implementation());
  plan.workspace_bytes = operation->workspace_bytes();
  plan.detail = std::make_shared<const Operation>(*operation);
  return plan;
}

const Operation& operation_of(const KernelPlan& plan) {
  return *static_cast<const Operation*>(plan.detail.get());
}

bool fits(const KernelRequest& request) {
  return is_real(*request.inputs[0]) && is_real(*request.inputs[1]) && is_real(request.outputs[0]) &&
         request.outputs[0].elements() > 0;
}

class LinearKernel final : public Kernel {
 public:
  std::optional<KernelPlan> plan(const KernelRequest& request) const override {
    if (!fits(request)) return std::nullopt;
    const TensorType w = transpose(*request.inputs[1]);
    const Desc bias = request.has(2) ? Desc::of({request.inputs[2]->dtype, {1, w.shape[1]}}) : Desc();
    const Activation& activation = as<LinearAttributes>(*request.attributes).activation;
    if (!fuses(activation) && request.outputs[0].dtype != DType::f32) return std::nullopt;
    const PostOps post_ops{.activation = fuses(activation) ? activation : Activation()};
    return plan_of(request, matmul(Desc::of(as_matrix(*request.inputs[0])), Desc::transposed(w), bias,
                                   Desc::of(as_matrix(request.outputs[0])), post_ops));
  }
  std::unique_ptr<Launch> prepare(const KernelRequest& request, const KernelPlan& plan) const override {
    std::vector<Binding> bindings{
        {Role::source, From::input, 0}, {Role::weights, From::input, 1}, {Role::destination, From::output, 0}};
    if (request.has(2)) bindings.push_back({Role::bias, From::input, 2});
    return then_activate(launch(operation_of(plan), std::move(bindings)),
                         as<LinearAttributes>(*request.attributes).activation, request.outputs[0].elements(),
                         request.threads);
  }
};

class LinearBackwardDataKernel final : public Kernel {
 public:
  std::optional<KernelPlan> plan(const KernelRequest& request) const override {
    if (!fits(request) || request.has(2)) return std::nullopt;
    return plan_of(request, matmul(Desc::of(as_matrix(*request.inputs[0])), Desc::of(*request.inputs[1]), Desc(),
                                   Desc::of(as_matrix(request.outputs[0]))));
  }
  std::unique_ptr<Launch> prepare(const KernelRequest&, const KernelPlan& plan) const override {
    return launch(
        operation_of(plan),
        {{Role::source, From::input, 0}, {Role::weights, From::input, 1}, {Role::destination, From::output, 0}});
  }
};

/// dw = dy^T x, then the column sums of dy.
class BackwardWeightsLaunch final : public Launch {
 public:
  BackwardWeightsLaunch(const Operation& operation, const TensorType& dy, bool bias, int threads)
      : product_(
            operation,
            {{Role::source, From::input, 1}, {Role::weights, From::input, 0}, {Role::destination, From::output, 0}}),
        sum_(bias ? function() : nullptr),
        job_{dy.shape[0], dy.shape[1], threads} {}

  void run(const LaunchArguments& arguments) override {
    product_.run(arguments);
    if (sum_) sum_(job_, static_cast<const float*>(arguments.inputs[1]), static_cast<float*>(arguments.outputs[1]));
  }

 private:
  using Function = void (*)(const cpu::ColumnSumJob&, const float*, float*);
  static Function function() {
    using namespace cpu;
    return TRAINCTL_BEST(column_sum);
  }

  Primitive product_;
  Function sum_;
  cpu::ColumnSumJob job_;
};

class LinearBackwardWeightsKernel final : public Kernel {
 public:
  std::optional<KernelPlan> plan(const KernelRequest& request) const override {
    if (!fits(request)) return std::nullopt;
    const bool bias = request.outputs.size() > 1;
    if (bias && (request.inputs[1]->dtype != DType::f32 || request.outputs[1].dtype != DType::f32)) return std::nullopt;
    return plan_of(request, matmul(Desc::transposed(transpose(as_matrix(*request.inputs[1]))),
                                   Desc::of(as_matrix(*request.inputs[0])), Desc(), Desc::of(request.outputs[0])));
  }
  std::unique_ptr<Launch> prepare(const KernelRequest& request, const KernelPlan& plan) const override {
    return std::make_unique<BackwardWeightsLaunch>(operation_of(plan), as_matrix(*request.inputs[1]),
                                                   request.outputs.size() > 1, request.threads);
  }
};

const RegisterKernel<LinearKernel> forward{"linear", "cpu", priority::library, "onednn"};
const RegisterKernel<LinearBackwardDataKernel> backward_data{"linear_backward_data", "cpu", priority::library,
                                                             "onednn"};
const RegisterKernel<LinearBackwardWeightsKernel> backward_weights{"linear_backward_weights", "cpu", priority::library,
                                                                   "onednn"};

}  // namespace
}  // namespace trainctl::onednn
