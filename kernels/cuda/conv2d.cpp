// conv2d, conv2d_backward_data and conv2d_backward_weights by cuDNN. Planning asks cuDNN, and so needs the GPU or a
// description of it.
#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <utility>

#include "base/log.h"
#include "kernels/cuda/conv2d_request.h"
#include "kernels/cuda/cudnn.h"
#include "kernels/cuda/passes.h"

namespace trainctl::cuda {
namespace {

using dnn::ExecutionPlan;

/// Engines that are tried where the fastest is to be found.
constexpr std::size_t worth_trying = 5;

/// Ids of the tensors of a graph.
enum Id : std::int64_t { id_x = 1, id_w, id_y, id_b, id_sum };

/// How a convolution may be put to cuDNN.
struct Form {
  bool channels_last = false;
  DType weights = DType::f32;  ///< as given to it, or as it gives their gradient
  bool fused = false;          ///< with bias, sum and relu; the bias has then the type of the result
};

/// What plan() found, for prepare().
struct Detail {
  std::shared_ptr<const ExecutionPlan> execution;
  Form form;
};

dnn::Extents extents(const Shape& shape) {
  return {shape[0], shape[1], shape[2], shape[3]};
}

dnn::Convolution operation_of(const KernelRequest& request) {
  if (request.op == "conv2d") return dnn::Convolution::forward;
  if (request.op == "conv2d_backward_data") return dnn::Convolution::backward_data;
  return dnn::Convolution::backward_weights;
}

/// Whether cuDNN can take along what comes after a convolution. It has engines for relu(conv + sum + bias), with the
/// bias in the type of the result; without a bias all that it has are compiled when planned.
bool fusible(const KernelRequest& request) {
  if (operation_of(request) != dnn::Convolution::forward || !request.has(2)) return false;
  const Activation& f = as<Conv2dAttributes>(*request.attributes).activation;
  return !f || f.kind == Activation::Kind::relu;
}

/// The forms to try, best first. Tensor cores (bf16, TF32) want channels last, the other engines row-major. Of bf16
/// operands cuDNN gives a gradient of the weights in bf16 alone.
std::vector<Form> forms_of(const KernelRequest& request) {
  const DType dtype = request.inputs[0]->dtype;
  const bool last = dtype == DType::bf16 || request.tf32;
  std::vector<Form> forms{{last, dtype}, {!last, dtype}};
  if (fusible(request)) forms.insert(forms.begin(), {last, dtype, true});
  return forms;
}

/// Adds what comes after a convolution, from `value` on: y = relu(value + sum + b), each where it is asked for. The
/// engines know no other order.
void fuse(dnn::Graph& graph, const KernelRequest& request, bool channels_last, dnn::Graph::Tensor value,
          dnn::Graph::Tensor y) {
  const TensorType& type = request.outputs[0];
  const dnn::Extents strides = image_strides(type.shape, channels_last);
  const bool relu = static_cast<bool>(as<Conv2dAttributes>(*request.attributes).activation);
  const auto next = [&](bool last) { return last ? y : graph.intermediate(extents(type.shape), strides); };
  if (request.has(3)) {
    const auto sum = graph.tensor(id_sum, type.dtype, extents(type.shape), strides);
    const auto to = next(false);
    graph.add(value, sum, to);
    value = to;
  }
  const Shape vector{1, type.shape[1], 1, 1};
  const auto b = graph.tensor(id_b, type.dtype, extents(vector), image_strides(vector, channels_last));
  const auto biased = next(!relu);
  graph.add(value, b, biased);
  if (relu) graph.relu(biased, y);
}

dnn::Graph graph_of(const KernelRequest& request, const Form& form) {
  const Conv2dOperands o = conv2d_operands(request);
  const auto strides = [&](const Shape& shape) { return image_strides(shape, form.channels_last); };
  dnn::Graph graph;
  const auto x = graph.tensor(id_x, o.dtype, extents(o.x), strides(o.x));
  const auto w = graph.tensor(id_w, form.weights, extents(o.w), strides(o.w));
  const auto y = graph.tensor(id_y, o.dtype, extents(o.y), strides(o.y));
  const auto& attributes = as<Conv2dAttributes>(*request.attributes);
  const auto result = form.fused ? graph.intermediate(extents(o.y), strides(o.y)) : y;
  graph.convolve(operation_of(request), attributes, x, w, result);
  if (form.fused) fuse(graph, request, form.channels_last, result, y);
  return graph;
}

std::string text_of(const KernelRequest& request, const Form& form) {
  std::string text =
      fmt::format("{} {}{}{}{}{}{}{}", request.op, form.channels_last ? "channels-last " : "", name(form.weights),
                  form.fused ? " fused" : "", request.deterministic ? "" : " any", request.fast_math ? " fast" : "",
                  request.tf32 ? " tf32 " : " ", request.attributes->text());
  for (const TensorType* input : request.inputs) text += input ? " " + input->text() : " -";
  for (const TensorType& output : request.outputs) text += " -> " + output.text();
  return text;
}

dnn::Rules rules_of(const KernelRequest& request) {
  using TensorCores = dnn::Rules::TensorCores;
  const Conv2dOperands o = conv2d_operands(request);
  dnn::Rules rules{.deterministic = request.deterministic, .fast_math = request.fast_math};
  if (o.dtype == DType::bf16 || request.tf32)
    rules.tensor_cores = o.x[1] % 8 == 0 && o.y[1] % 8 == 0 ? TensorCores::preferred : TensorCores::allowed;
  return rules;
}

using Executions = std::vector<std::shared_ptr<const ExecutionPlan>>;

/// cuDNN's plans for a form of a request. Each is searched for once: a request is made for every equal layer of every
/// program, and by fusion.
Executions executions_of(const KernelRequest& request, const Form& form, const ExecutionPlan::Wanted& wanted) {
  static std::mutex mutex;
  // Never destroyed: cuDNN may be gone when static objects are.
  static auto& known = *new std::map<std::string, Executions>();
  const std::lock_guard lock(mutex);
  const std::string text = fmt::format("{} {} {}", text_of(request, form), wanted.most, wanted.name);
  const auto [found, added] = known.try_emplace(dnn::gpu()->properties() + text);
  if (!added) return found->second;
  try {
    found->second = ExecutionPlan::find(graph_of(request, form), rules_of(request), *dnn::gpu(), wanted);
    log::debug("cudnn: {}: {}", text, found->second.empty() ? "no engine" : found->second.front()->name());
  } catch (const Error& error) {
    static bool warned = false;
    if (!std::exchange(warned, true))
      log::warn("cuDNN plans no convolution, slower kernels take its place: {}", error.what());
    log::debug("cudnn: {}: {}", text, error.what());
  }
  return found->second;
}

/// What stands before an engine's name in the name of an implementation: "cudnn:channels_last_fused_".
std::string prefix_of(const Form& form) {
  return fmt::format("cudnn:{}{}", form.channels_last ? "channels_last_" : "rows_", form.fused ? "fused_" : "");
}

/// How a request is done: the form, and plans of which the first is taken; none where cuDNN has no engine.
struct Found {
  Form form;
  Executions executions;
};

Found find(const KernelRequest& request) {
  const std::vector<Form> forms = forms_of(request);
  for (const Form& form : forms) {
    const std::string prefix = prefix_of(form);
    if (request.chosen.empty() || !request.chosen.starts_with(prefix)) continue;
    Executions found = executions_of(request, form, {.name = request.chosen.substr(prefix.size())});
    if (!found.empty()) return {form, std::move(found)};
  }
  const std::size_t most = request.tune && request.chosen.empty() ? worth_trying : 1;
  for (const Form& form : forms) {
    Executions found = executions_of(request, form, {.most = most});
    if (!found.empty()) return {form, std::move(found)};
  }
  return {};
}

/// The name of the layout in which a tensor lies or is to lie. Where both layouts are the same bytes it is the one that
/// costs no reorder: `given`.
Layout layout_of(const Shape& shape, bool channels_last, const Layout& given = Layout()) {
  const Layout last("acdb");
  const bool same = shape[1] == 1 || shape[2] * shape[3] == 1;
  if (same) return given == last ? last : Layout();
  return channels_last ? last : Layout();
}

ChannelExtents view_of(const Shape& shape, bool channels_last) {
  const std::int64_t plane = shape[2] * shape[3];
  if (channels_last) return {.outer = shape[0] * plane, .channels = shape[1], .inner = 1};
  return {.outer = shape[0], .channels = shape[1], .inner = plane};
}

/// How a workspace is divided, from its first multiple of 256 bytes on: one part for cuDNN and later the sums of db,
/// one for dw where cuDNN gives it as bf16.
struct Workspace {
  Workspace(const KernelRequest& request, const Detail& detail) {
    std::size_t shared = detail.execution->workspace_bytes();
    if (operation_of(request) == dnn::Convolution::backward_weights) {
      if (request.outputs.size() > 1) shared = std::max(shared, bias_sum(request, detail.form).workspace_bytes());
      if (detail.form.weights == DType::bf16) narrow_bytes = request.outputs[0].elements() * size_bytes(DType::bf16);
    }
    narrow_offset = (shared + 255) / 256 * 256;
    bytes = narrow_offset + narrow_bytes ? narrow_offset + narrow_bytes + 256 : 0;
  }
  static std::byte* start(void* workspace) {
    return reinterpret_cast<std::byte*>((reinterpret_cast<std::uintptr_t>(workspace) + 255) / 256 * 256);
  }
  static ChannelSum bias_sum(const KernelRequest& request, const Form& form) {
    const TensorType& dy = *request.inputs[1];
    return {view_of(dy.shape, form.channels_last), dy.dtype};
  }

  std::size_t narrow_offset = 0, narrow_bytes = 0, bytes = 0;
};

std::optional<KernelPlan> plan(const KernelRequest& request) {
  if (!conv2d_types_fit(request) || request.outputs[0].elements() == 0 || request.inputs[0]->elements() == 0 ||
      !dnn::gpu())
    return std::nullopt;
  const auto [form, executions] = find(request);
  if (executions.empty()) return std::nullopt;
  const Detail detail{executions.front(), form};
  KernelPlan plan = KernelPlan::row_major(request, prefix_of(form) + detail.execution->name());
  for (std::size_t i = 0; i < request.inputs.size(); ++i) {
    if (!request.has(i) || request.inputs[i]->shape.rank() != 4) continue;
    plan.inputs[i] = layout_of(request.inputs[i]->shape, form.channels_last, given_layout(request, i));
  }
  plan.outputs[0] = layout_of(request.outputs[0].shape, form.channels_last);
  if (operation_of(request) != dnn::Convolution::backward_weights && form.weights != DType::f32) {
    plan.input_dtypes.resize(request.inputs.size());
    plan.input_dtypes[1] = form.weights;
    if (form.fused) plan.input_dtypes[2] = form.weights;
  }
  plan.workspace_bytes = Workspace(request, detail).bytes;
  plan.detail = std::make_shared<const Detail>(detail);
  if (executions.size() > 1) {
    for (const auto& execution : executions) plan.alternatives.push_back(prefix_of(form) + execution->name());
  }
  return plan;
}

/// Runs an execution plan on x, w and y, and b and sum if it has them.
class Execution {
 public:
  explicit Execution(std::shared_ptr<const ExecutionPlan> plan) : plan_(std::move(plan)) {}
  void run(std::initializer_list<std::pair<Id, void*>> tensors, void* workspace, cudaStream_t stream) const {
    std::vector<std::int64_t> ids;
    std::vector<void*> addresses;
    for (const auto& [id, tensor] : tensors) {
      if (!tensor) continue;
      require(aligned(tensor), "a convolution was given memory that is not at a multiple of 16 bytes");
      ids.push_back(id);
      addresses.push_back(tensor);
    }
    plan_->run(ids, addresses, plan_->workspace_bytes() ? workspace : nullptr, stream);
  }

 private:
  std::shared_ptr<const ExecutionPlan> plan_;
};

std::unique_ptr<Launch> prepare_forward(const KernelRequest& request, const Detail& detail) {
  const Activation f = as<Conv2dAttributes>(*request.attributes).activation;
  const bool bias = request.has(2), sum = request.has(3), fused = detail.form.fused;
  const TensorType& y = request.outputs[0];
  return make_launch([=, execution = Execution(detail.execution), dtype = y.dtype,
                      view = view_of(y.shape, detail.form.channels_last)](const LaunchArguments& a) {
    void* b = bias ? a.inputs[2] : nullptr;
    void* added = sum ? a.inputs[3] : nullptr;
    execution.run({{id_x, a.inputs[0]},
                   {id_w, a.inputs[1]},
                   {id_y, a.outputs[0]},
                   {id_b, fused ? b : nullptr},
                   {id_sum, fused ? added : nullptr}},
                  Workspace::start(a.workspace), stream_of(a));
    if (!fused && (b || added || f)) finish(view, dtype, f, a.outputs[0], {b}, added, stream_of(a));
  });
}

std::unique_ptr<Launch> prepare_backward_data(const KernelRequest& request, const Detail& detail) {
  const Activation f = as<Conv2dAttributes>(*request.attributes).activation;
  const TensorType& dx = request.outputs[0];
  return make_launch([f, execution = Execution(detail.execution), elements = dx.elements(),
                      dtype = dx.dtype](const LaunchArguments& a) {
    execution.run({{id_x, a.outputs[0]}, {id_w, a.inputs[1]}, {id_y, a.inputs[0]}}, Workspace::start(a.workspace),
                  stream_of(a));
    if (f) multiply_by_slope(elements, dtype, f, a.outputs[0], a.inputs[2], stream_of(a));
  });
}

std::unique_ptr<Launch> prepare_backward_weights(const KernelRequest& request, const Detail& detail) {
  const Workspace parts(request, detail);
  const bool bias = request.outputs.size() > 1, narrow = detail.form.weights == DType::bf16;
  return make_launch([=, execution = Execution(detail.execution), elements = request.outputs[0].elements(),
                      bias_sum = Workspace::bias_sum(request, detail.form)](const LaunchArguments& a) {
    std::byte* workspace = Workspace::start(a.workspace);
    void* dw = narrow ? workspace + parts.narrow_offset : a.outputs[0];
    execution.run({{id_x, a.inputs[0]}, {id_w, dw}, {id_y, a.inputs[1]}}, workspace, stream_of(a));
    if (narrow) widen(dw, out<float>(a, 0), elements, stream_of(a));
    if (bias) bias_sum.run(a.inputs[1], out<float>(a, 1), workspace, stream_of(a));
  });
}

std::unique_ptr<Launch> prepare(const KernelRequest& request, const KernelPlan& plan) {
  const auto& detail = *static_cast<const Detail*>(plan.detail.get());
  switch (operation_of(request)) {
    case dnn::Convolution::forward:
      return prepare_forward(request, detail);
    case dnn::Convolution::backward_data:
      return prepare_backward_data(request, detail);
    case dnn::Convolution::backward_weights:
      break;
  }
  return prepare_backward_weights(request, detail);
}

const RegisterCuda registered[] = {{"conv2d", plan, prepare, priority::library, "cudnn"},
                                   {"conv2d_backward_data", plan, prepare, priority::library, "cudnn"},
                                   {"conv2d_backward_weights", plan, prepare, priority::library, "cudnn"}};

}  // namespace
}  // namespace trainctl::cuda
