#include "kernels/cuda/cudnn.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/libraries.h"
#include "base/log.h"

namespace trainctl::cuda::dnn {
namespace {

/// Of the library that is loaded, which may be another than the headers'.
std::string version_text() {
  const std::size_t version = cudnnGetVersion();
  return fmt::format("{}.{}.{}", version / 10000, version % 10000 / 100, version % 100);
}
const RegisterLibrary registered_version{"cuDNN", version_text()};

constexpr std::int64_t most_workspace = std::int64_t{1} << 30;
constexpr std::int64_t first_intermediate = 1000;  // above the ids of tensors in memory

std::string last_message() {
  std::array<char, 1024> message{};
  cudnnGetLastErrorString(message.data(), message.size());
  return message.data();
}

/// One for the process, which it outlives; null, with the reason told once, where cuDNN does not start.
cudnnHandle_t start() {
  int devices = 0;
  const bool any = cudaGetDeviceCount(&devices) == cudaSuccess && devices > 0;
  cudaGetLastError();
  if (!any) return nullptr;
  cudnnHandle_t created = nullptr;
  const cudnnStatus_t status = cudnnCreate(&created);
  if (status == CUDNN_STATUS_SUCCESS) return created;
  log::warn("cuDNN does not start ({}), so convolutions will be slow", cudnnGetErrorString(status));
  return nullptr;
}

/// The GPU that plan_for() named. Never destroyed: cuDNN may be gone when static objects are.
std::unique_ptr<const Gpu>& described_gpu() {
  static auto& described = *new std::unique_ptr<const Gpu>();
  return described;
}

/// What cuDNN says about an engine.
struct Notes {
  explicit Notes(const Descriptor& engine) {
    numerical.resize(CUDNN_NUMERICAL_NOTE_TYPE_COUNT);
    numerical.resize(static_cast<std::size_t>(engine.get(CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE,
                                                         CUDNN_NUMERICAL_NOTE_TYPE_COUNT, numerical.data())));
    behavior.resize(CUDNN_BEHAVIOR_NOTE_TYPE_COUNT);
    behavior.resize(static_cast<std::size_t>(engine.get(CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE, CUDNN_TYPE_BEHAVIOR_NOTE,
                                                        CUDNN_BEHAVIOR_NOTE_TYPE_COUNT, behavior.data())));
  }
  bool has(cudnnBackendNumericalNote_t note) const { return std::ranges::find(numerical, note) != numerical.end(); }
  bool has(cudnnBackendBehaviorNote_t note) const { return std::ranges::find(behavior, note) != behavior.end(); }

  std::vector<cudnnBackendNumericalNote_t> numerical;
  std::vector<cudnnBackendBehaviorNote_t> behavior;
};

bool allowed(const Notes& notes, const Rules& rules) {
  if (notes.has(CUDNN_BEHAVIOR_NOTE_RUNTIME_COMPILATION)) return false;
  for (const cudnnBackendNumericalNote_t note : notes.numerical) {
    switch (note) {
      case CUDNN_NUMERICAL_NOTE_TENSOR_CORE:
        if (rules.tensor_cores == Rules::TensorCores::none) return false;
        break;
      case CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS:
      case CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION:
        return false;
      case CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC:
        if (rules.deterministic) return false;
        break;
      case CUDNN_NUMERICAL_NOTE_FFT:
      case CUDNN_NUMERICAL_NOTE_WINOGRAD:
      case CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_4x4:
      case CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_6x6:
      case CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_13x13:
        if (!rules.fast_math) return false;
        break;
      default:
        break;
    }
  }
  return true;
}

/// Engine configurations for a graph by one of cuDNN's heuristics, best first; none where it does not know.
std::vector<Descriptor> configurations(const Descriptor& graph, const Gpu& gpu, cudnnBackendHeurMode_t mode) {
  Descriptor heuristics(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
  gpu.set_in_heuristics(heuristics);
  heuristics.set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph.handle());
  heuristics.set(CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &mode);
  if (!heuristics.try_finalize()) return {};
  const std::int64_t count = heuristics.get(CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR, 0, nullptr);
  return heuristics.get_descriptors(CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, count);
}

std::string name_of(const Descriptor& configuration, const Descriptor& engine) {
  std::string name = "eng";
  try {
    name += fmt::format("{}", engine.get_integer(CUDNN_ATTR_ENGINE_GLOBAL_INDEX));
    for (const Descriptor& knob : configuration.get_descriptors(
             CUDNN_ATTR_ENGINECFG_KNOB_CHOICES, CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR, CUDNN_KNOB_TYPE_COUNTS)) {
      cudnnBackendKnobType_t type{};
      knob.get(CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE, CUDNN_TYPE_KNOB_TYPE, 1, &type);
      name += fmt::format("_k{}={}", static_cast<int>(type), knob.get_integer(CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE));
    }
  } catch (const Error& error) {  // a plan is as good without
    log::debug("cudnn: {}", error.what());
  }
  return name;
}

}  // namespace

void check(cudnnStatus_t status, const char* what) {
  if (status == CUDNN_STATUS_SUCCESS) return;
  const bool memory = status == CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED ||
                      status == CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED;
  fail(memory ? ErrorKind::environment : ErrorKind::internal, "cuDNN, while {}: {}: {}", what,
       cudnnGetErrorString(status), last_message());
}

const Gpu* gpu() {
  if (described_gpu()) return described_gpu().get();
  // Never destroyed, as cuDNN may be gone when static objects are.
  static const Gpu* const at_hand = [] {
    const cudnnHandle_t handle = start();
    return handle ? new Gpu(handle) : nullptr;
  }();
  return at_hand;
}

void plan_for(Gpu described) {
  described_gpu() = std::make_unique<const Gpu>(std::move(described));
}

// ---- Descriptor ---------------------------------------------------------------------------------------------------

Descriptor::Descriptor(cudnnBackendDescriptorType_t type) {
  check(cudnnBackendCreateDescriptor(type, &handle_), "creating a descriptor");
}

Descriptor::~Descriptor() {
  if (handle_) cudnnBackendDestroyDescriptor(handle_);
}

void Descriptor::set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, std::int64_t count,
                     const void* values) {
  check(cudnnBackendSetAttribute(handle_, name, type, count, values), "describing an operation");
}

void Descriptor::finalize() {
  check(cudnnBackendFinalize(handle_), "describing an operation");
}

bool Descriptor::try_finalize() {
  const cudnnStatus_t status = cudnnBackendFinalize(handle_);
  if (status != CUDNN_STATUS_SUCCESS) log::debug("cudnn: {}: {}", cudnnGetErrorString(status), last_message());
  return status == CUDNN_STATUS_SUCCESS;
}

std::int64_t Descriptor::get(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, std::int64_t count,
                             void* values) const {
  std::int64_t found = 0;
  check(cudnnBackendGetAttribute(handle_, name, type, count, &found, values), "asking about an engine");
  return found;
}

std::int64_t Descriptor::get_integer(cudnnBackendAttributeName_t name) const {
  std::int64_t value = 0;
  get(name, CUDNN_TYPE_INT64, 1, &value);
  return value;
}

std::vector<Descriptor> Descriptor::get_descriptors(cudnnBackendAttributeName_t name, cudnnBackendDescriptorType_t type,
                                                    std::int64_t most) const {
  // cuDNN fills descriptors that exist already.
  std::vector<Descriptor> found;
  std::vector<cudnnBackendDescriptor_t> handles;
  for (std::int64_t i = 0; i < most; ++i) {
    found.emplace_back(type);
    handles.push_back(found.back().handle());
  }
  const std::int64_t filled = most ? get(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, most, handles.data()) : 0;
  while (static_cast<std::int64_t>(found.size()) > filled) found.pop_back();
  return found;
}

// ---- Gpu ----------------------------------------------------------------------------------------------------------

Gpu::Gpu(std::string properties) : properties_(std::move(properties)), described_(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR) {
  described_->set(CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR,
                  static_cast<std::int64_t>(properties_.size()), properties_.data());
  described_->finalize();
}

void Gpu::set_in_graph(Descriptor& graph) const {
  if (handle_) graph.set(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, 1, &handle_);
}

void Gpu::set_in_heuristics(Descriptor& heuristics) const {
  if (described_) heuristics.set(CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, described_->handle());
}

void Gpu::set_in_plan(Descriptor& plan) const {
  if (described_)
    plan.set(CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, described_->handle());
  else
    plan.set(CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, 1, &handle_);
}

// ---- Graph --------------------------------------------------------------------------------------------------------

Descriptor& Graph::keep(Descriptor descriptor) {
  owned_.push_back(std::make_unique<Descriptor>(std::move(descriptor)));
  return *owned_.back();
}

Graph::Tensor Graph::describe(std::int64_t id, cudnnDataType_t type, const Extents& extents, const Extents& strides,
                              bool in_memory) {
  Descriptor& tensor = keep(Descriptor(CUDNN_BACKEND_TENSOR_DESCRIPTOR));
  const bool is_virtual = !in_memory;
  tensor.set(CUDNN_ATTR_TENSOR_UNIQUE_ID, id);
  tensor.set(CUDNN_ATTR_TENSOR_DATA_TYPE, type);
  tensor.set(CUDNN_ATTR_TENSOR_DIMENSIONS, extents);
  tensor.set(CUDNN_ATTR_TENSOR_STRIDES, strides);
  tensor.set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, 16);
  tensor.set(CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, 1, &is_virtual);
  tensor.finalize();
  return tensor.handle();
}

Graph::Tensor Graph::tensor(std::int64_t id, DType dtype, const Extents& extents, const Extents& strides) {
  return describe(id, dtype == DType::bf16 ? CUDNN_DATA_BFLOAT16 : CUDNN_DATA_FLOAT, extents, strides, true);
}

Graph::Tensor Graph::intermediate(const Extents& extents, const Extents& strides) {
  return describe(first_intermediate + intermediates_++, CUDNN_DATA_FLOAT, extents, strides, false);
}

namespace {

/// Names of the parts of one of the three operations.
struct ConvolutionNames {
  cudnnBackendDescriptorType_t type;
  cudnnBackendAttributeName_t convolution, x, w, y, alpha, beta;
};

ConvolutionNames names_of(Convolution operation) {
  switch (operation) {
    case Convolution::forward:
      break;
    case Convolution::backward_data:
      return {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA};
    case Convolution::backward_weights:
      return {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA};
  }
  return {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
          CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
          CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
          CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,
          CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y,
          CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA,
          CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA};
}

}  // namespace

void Graph::convolve(Convolution operation, const Conv2dAttributes& attributes, Tensor x, Tensor w, Tensor y) {
  Descriptor& convolution = keep(Descriptor(CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR));
  const std::array<std::int64_t, 2> before{attributes.padding[0], attributes.padding[1]};
  const std::array<std::int64_t, 2> after{attributes.padding[2], attributes.padding[3]};
  const cudnnConvolutionMode_t mode = CUDNN_CROSS_CORRELATION;
  convolution.set(CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, 2);
  convolution.set(CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_DATA_FLOAT);
  convolution.set(CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1, &mode);
  convolution.set(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, before);
  convolution.set(CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, after);
  convolution.set(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, attributes.stride);
  convolution.set(CUDNN_ATTR_CONVOLUTION_DILATIONS, attributes.dilation);
  convolution.finalize();

  const ConvolutionNames names = names_of(operation);
  Descriptor& node = keep(Descriptor(names.type));
  const float one = 1.0f, zero = 0.0f;
  node.set(names.convolution, convolution.handle());
  node.set(names.x, x);
  node.set(names.w, w);
  node.set(names.y, y);
  node.set(names.alpha, CUDNN_TYPE_FLOAT, 1, &one);
  node.set(names.beta, CUDNN_TYPE_FLOAT, 1, &zero);
  node.finalize();
  operations_.push_back(node.handle());
}

void Graph::add(Tensor a, Tensor b, Tensor y) {
  Descriptor& sum = keep(Descriptor(CUDNN_BACKEND_POINTWISE_DESCRIPTOR));
  const cudnnPointwiseMode_t mode = CUDNN_POINTWISE_ADD;
  sum.set(CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, 1, &mode);
  sum.set(CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_DATA_FLOAT);
  sum.finalize();

  Descriptor& node = keep(Descriptor(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR));
  node.set(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, sum.handle());
  node.set(CUDNN_ATTR_OPERATION_POINTWISE_XDESC, a);
  node.set(CUDNN_ATTR_OPERATION_POINTWISE_BDESC, b);
  node.set(CUDNN_ATTR_OPERATION_POINTWISE_YDESC, y);
  node.finalize();
  operations_.push_back(node.handle());
}

void Graph::relu(Tensor x, Tensor y) {
  Descriptor& relu = keep(Descriptor(CUDNN_BACKEND_POINTWISE_DESCRIPTOR));
  const cudnnPointwiseMode_t mode = CUDNN_POINTWISE_RELU_FWD;
  const cudnnNanPropagation_t nan = CUDNN_PROPAGATE_NAN;
  relu.set(CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, 1, &mode);
  relu.set(CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_DATA_FLOAT);
  relu.set(CUDNN_ATTR_POINTWISE_NAN_PROPAGATION, CUDNN_TYPE_NAN_PROPOGATION, 1, &nan);
  relu.finalize();

  Descriptor& node = keep(Descriptor(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR));
  node.set(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, relu.handle());
  node.set(CUDNN_ATTR_OPERATION_POINTWISE_XDESC, x);
  node.set(CUDNN_ATTR_OPERATION_POINTWISE_YDESC, y);
  node.finalize();
  operations_.push_back(node.handle());
}

// ---- ExecutionPlan ------------------------------------------------------------------------------------------------

ExecutionPlan::ExecutionPlan(std::shared_ptr<const Graph> graph, Descriptor configuration, Descriptor plan,
                             std::string name)
    : graph_(std::move(graph)),
      configuration_(std::move(configuration)),
      plan_(std::move(plan)),
      workspace_bytes_(static_cast<std::size_t>(plan_.get_integer(CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE))),
      name_(std::move(name)) {}

std::vector<std::shared_ptr<const ExecutionPlan>> ExecutionPlan::find(Graph graph, const Rules& rules, const Gpu& gpu,
                                                                      const Wanted& wanted) {
  Descriptor& whole = graph.keep(Descriptor(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR));
  gpu.set_in_graph(whole);
  whole.set(CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR,
            static_cast<std::int64_t>(graph.operations_.size()), graph.operations_.data());
  whole.finalize();
  const auto kept = std::make_shared<const Graph>(std::move(graph));
  std::vector<std::shared_ptr<const ExecutionPlan>> found;
  const auto is_known = [&](const std::string& name) {
    return std::ranges::any_of(found, [&](const auto& plan) { return plan->name() == name; });
  };
  const bool preferred = rules.tensor_cores == Rules::TensorCores::preferred;
  for (const bool tensor_cores : preferred ? std::vector{true, false} : std::vector{false}) {
    for (const cudnnBackendHeurMode_t mode : {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_B, CUDNN_HEUR_MODE_FALLBACK}) {
      for (Descriptor& configuration : configurations(whole, gpu, mode)) {
        const std::vector<Descriptor> engines =
            configuration.get_descriptors(CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_BACKEND_ENGINE_DESCRIPTOR, 1);
        if (engines.empty()) continue;
        const Notes notes(engines[0]);
        if (!allowed(notes, rules) || (tensor_cores && !notes.has(CUDNN_NUMERICAL_NOTE_TENSOR_CORE))) continue;
        std::string name = name_of(configuration, engines[0]);
        if (is_known(name) || (!wanted.name.empty() && name != wanted.name)) continue;
        Descriptor plan(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
        gpu.set_in_plan(plan);
        plan.set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, configuration.handle());
        if (!plan.try_finalize() || plan.get_integer(CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE) >= most_workspace)
          continue;
        found.push_back(std::shared_ptr<const ExecutionPlan>(
            new ExecutionPlan(kept, std::move(configuration), std::move(plan), std::move(name))));
        if (found.size() >= wanted.most) return found;
      }
    }
  }
  return found;
}

void ExecutionPlan::run(std::span<const std::int64_t> ids, std::span<void* const> addresses, void* workspace,
                        cudaStream_t stream) const {
  Descriptor pack(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
  pack.set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, ids);
  pack.set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, static_cast<std::int64_t>(addresses.size()),
           addresses.data());
  pack.set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, &workspace);
  pack.finalize();
  const cudnnHandle_t library = gpu()->handle();
  require(library != nullptr, "a convolution was planned for a GPU that is only described");
  check(cudnnSetStream(library, stream), "launching a convolution");
  check(cudnnBackendExecute(library, plan_.handle(), pack.handle()), "launching a convolution");
}

}  // namespace trainctl::cuda::dnn
