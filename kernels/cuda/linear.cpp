// linear, linear_backward_data and linear_backward_weights by cuBLASLt: one launch each where it has the epilogue.
#include "ops/linear.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "kernels/cuda/cublaslt.h"
#include "kernels/cuda/passes.h"
#include "kernels/cuda/runtime.h"

namespace trainctl::cuda {
namespace {

using Epilogue = Product::Epilogue;

/// Rows of a tensor seen as a matrix of its last axis.
std::int64_t rows_of(const TensorType& type) {
  return type.shape.slice(0, -1).elements();
}

/// Whether x and y (or the gradients given in their stead) are both f32 or both bf16, and w or dw f32.
bool fits(const TensorType& x, const TensorType& y, const TensorType& w) {
  return is_float(x.dtype) && y.dtype == x.dtype && w.dtype == DType::f32;
}

/// The plan of a product by the algorithm that was chosen, if it is still there, or cuBLASLt's first.
KernelPlan plan_of(const KernelRequest& request, const Product& product) {
  constexpr std::size_t worth_trying = 4;
  const std::string prefix = "cublaslt:";
  KernelPlan plan = KernelPlan::row_major(request, "cublaslt");
  plan.workspace_bytes = product.workspace_bytes();
  std::vector<std::string> names = product_algorithms(product);
  if (names.empty()) return plan;
  for (std::string& name : names) name.insert(0, prefix);
  const bool known = std::ranges::find(names, request.chosen) != names.end();
  plan.implementation = known ? std::string(request.chosen) : names.front();
  if (request.tune && request.chosen.empty() && names.size() > 1) {
    names.resize(std::min(names.size(), worth_trying));
    plan.alternatives = std::move(names);
  }
  return plan;
}

/// The name by which a plan's algorithm is found again.
std::string algorithm_of(const KernelPlan& plan) {
  const std::size_t colon = plan.implementation.find(':');
  return colon == std::string::npos ? "" : plan.implementation.substr(colon + 1);
}

/// Asks for the weight in the type of the activations.
void cast_weight(const KernelRequest& request, KernelPlan& plan) {
  if (request.inputs[0]->dtype == DType::f32) return;
  plan.input_dtypes.resize(request.inputs.size());
  plan.input_dtypes[1] = request.inputs[0]->dtype;
}

// ---- linear -------------------------------------------------------------------------------------------------------

Product forward_product(const KernelRequest& request) {
  const TensorType &x = *request.inputs[0], &w = *request.inputs[1];
  Product product{.m = rows_of(x),
                  .n = w.shape[0],
                  .k = w.shape[1],
                  .transpose_b = true,
                  .operands = x.dtype,
                  .result = x.dtype,
                  .tf32 = request.tf32,
                  .any_order = !request.deterministic};
  const Activation& f = as<LinearAttributes>(*request.attributes).activation;
  const bool relu = f.kind == Activation::Kind::relu, bias = request.has(2);
  if (f && !relu) return product;  // cuBLASLt knows few curves
  product.epilogue = bias ? (relu ? Epilogue::bias_relu : Epilogue::bias) : (relu ? Epilogue::relu : Epilogue::none);
  if (bias) product.vector = x.dtype;  // it adds a bias of the result's type
  return product;
}

class ForwardLaunch final : public Launch {
 public:
  ForwardLaunch(const KernelRequest& request, const KernelPlan& plan)
      : f_(as<LinearAttributes>(*request.attributes).activation),
        bias_(request.has(2)),
        bias_dtype_(forward_product(request).vector),
        dtype_(request.outputs[0].dtype),
        product_(forward_product(request), algorithm_of(plan)),
        plain_(forward_product(request).epilogue == Epilogue::none),
        view_{.outer = rows_of(request.outputs[0]), .channels = request.outputs[0].shape.dim(-1)} {}

  void run(const LaunchArguments& a) override {
    void* b = bias_ ? a.inputs[2] : nullptr;
    const bool done =
        product_.run(a.inputs[0], a.inputs[1], a.outputs[0], plain_ ? nullptr : b, a.workspace, stream_of(a));
    if ((plain_ || !done) && (b || f_))
      finish(view_, dtype_, f_, a.outputs[0], {b, bias_dtype_}, nullptr, stream_of(a));
  }

 private:
  Activation f_;
  bool bias_;
  DType bias_dtype_;
  DType dtype_;
  ProductRunner product_;
  bool plain_;  // whether the product was asked for without an epilogue
  ChannelExtents view_;
};

std::optional<KernelPlan> plan_forward(const KernelRequest& request) {
  if (!fits(*request.inputs[0], request.outputs[0], *request.inputs[1])) return std::nullopt;
  if (request.has(2) && request.inputs[2]->dtype != DType::f32) return std::nullopt;
  const Product product = forward_product(request);
  KernelPlan plan = plan_of(request, product);
  cast_weight(request, plan);
  if (product.vector != DType::f32) plan.input_dtypes[2] = product.vector;
  return plan;
}

std::unique_ptr<Launch> prepare_forward(const KernelRequest& request, const KernelPlan& plan) {
  return std::make_unique<ForwardLaunch>(request, plan);
}

// ---- linear_backward_data -----------------------------------------------------------------------------------------

Product data_product(const KernelRequest& request) {
  const TensorType &dy = *request.inputs[0], &w = *request.inputs[1];
  return {.m = rows_of(dy),
          .n = w.shape[1],
          .k = w.shape[0],
          .operands = dy.dtype,
          .result = dy.dtype,
          .tf32 = request.tf32,
          .any_order = !request.deterministic};
}

std::optional<KernelPlan> plan_data(const KernelRequest& request) {
  if (!fits(*request.inputs[0], request.outputs[0], *request.inputs[1])) return std::nullopt;
  if (request.has(2) && request.inputs[2]->dtype != request.outputs[0].dtype) return std::nullopt;
  KernelPlan plan = plan_of(request, data_product(request));
  cast_weight(request, plan);
  return plan;
}

std::unique_ptr<Launch> prepare_data(const KernelRequest& request, const KernelPlan& plan) {
  const auto product = std::make_shared<ProductRunner>(data_product(request), algorithm_of(plan));
  const Activation f = as<LinearAttributes>(*request.attributes).activation;
  const TensorType& dx = request.outputs[0];
  return make_launch([product, f, elements = dx.elements(), dtype = dx.dtype](const LaunchArguments& a) {
    product->run(a.inputs[0], a.inputs[1], a.outputs[0], nullptr, a.workspace, stream_of(a));
    if (f) multiply_by_slope(elements, dtype, f, a.outputs[0], a.inputs[2], stream_of(a));
  });
}

// ---- linear_backward_weights --------------------------------------------------------------------------------------

Product weights_product(const KernelRequest& request) {
  const TensorType &x = *request.inputs[0], &dy = *request.inputs[1];
  return {.m = dy.shape.dim(-1),
          .n = x.shape.dim(-1),
          .k = rows_of(dy),
          .transpose_a = true,
          .operands = x.dtype,
          .result = DType::f32,
          .tf32 = request.tf32,
          .any_order = !request.deterministic,
          .epilogue = request.outputs.size() > 1 ? Epilogue::sums_of_a : Epilogue::none};
}

ChannelSum bias_sum(const KernelRequest& request) {
  const TensorType& dy = *request.inputs[1];
  return {{.outer = rows_of(dy), .channels = dy.shape.dim(-1)}, dy.dtype};
}

std::optional<KernelPlan> plan_weights(const KernelRequest& request) {
  if (!fits(*request.inputs[0], *request.inputs[1], request.outputs[0])) return std::nullopt;
  if (request.outputs.size() > 1 && request.outputs[1].dtype != DType::f32) return std::nullopt;
  KernelPlan plan = plan_of(request, weights_product(request));
  // The sum comes after the product, and may use its workspace.
  plan.workspace_bytes = std::max(plan.workspace_bytes, bias_sum(request).workspace_bytes());
  return plan;
}

std::unique_ptr<Launch> prepare_weights(const KernelRequest& request, const KernelPlan& plan) {
  const auto product = std::make_shared<ProductRunner>(weights_product(request), algorithm_of(plan));
  const bool bias = request.outputs.size() > 1;
  return make_launch([product, bias, sum = bias_sum(request)](const LaunchArguments& a) {
    float* db = bias ? out<float>(a, 1) : nullptr;
    const bool done = product->run(a.inputs[1], a.inputs[0], a.outputs[0], db, a.workspace, stream_of(a));
    if (bias && !done) sum.run(a.inputs[1], db, a.workspace, stream_of(a));
  });
}

const RegisterCuda registered[] = {
    {"linear", plan_forward, prepare_forward, priority::library, "cublaslt"},
    {"linear_backward_data", plan_data, prepare_data, priority::library, "cublaslt"},
    {"linear_backward_weights", plan_weights, prepare_weights, priority::library, "cublaslt"}};

}  // namespace
}  // namespace trainctl::cuda
