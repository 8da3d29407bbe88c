#include "program/select.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <set>

#include "base/error.h"
#include "graph/builtin.h"

namespace trainctl {
namespace {

struct Choice {
  const KernelRegistry::Entry* kernel = nullptr;
  KernelPlan plan;
  std::string lost;  ///< what was chosen before and is not to be had; else empty
};

/// The kernel and plan for a request: what was chosen for it before, else the first that there is.
std::optional<Choice> choose(KernelRequest request, const PlanOptions& options) {
  if (options.choices) {
    const auto known = options.choices->find(choice_key(options.device, request));
    if (known != options.choices->end()) request.chosen = known->second;
  }
  std::optional<Choice> first;
  for (const KernelRegistry::Entry* entry : KernelRegistry::instance().find(request.op, options.device)) {
    auto plan = entry->kernel->plan(request);
    if (!plan) continue;
    require(plan->inputs.size() == request.inputs.size() && plan->outputs.size() == request.outputs.size(),
            "a kernel's plan has the wrong number of layouts");
    if (request.chosen.empty() || plan->implementation == request.chosen) return Choice{entry, std::move(*plan), {}};
    if (!first) first = Choice{entry, std::move(*plan), std::string(request.chosen)};
  }
  return first;
}

KernelRequest request_for(const GraphNode& node, const NodeTypes& types, std::span<const Layout> layouts,
                          const PlanOptions& options) {
  return {.op = node.op->name(),
          .attributes = node.attributes.get(),
          .inputs = types.inputs,
          .outputs = types.outputs,
          .input_layouts = layouts,
          .threads = options.threads,
          .deterministic = options.deterministic,
          .tune = options.tune,
          .fast_math = options.fast_math,
          .tf32 = options.tf32};
}

}  // namespace

StepRequest::StepRequest(const Plan& plan, const PlannedStep& step) {
  // The kernel planned for the types of the graph, whatever copies it then asked for.
  types_.reserve(step.inputs.size());
  for (std::size_t i = 0; i < step.inputs.size(); ++i) {
    if (step.inputs[i] < 0) {
      inputs_.push_back(nullptr);
      continue;
    }
    types_.push_back(plan.tensors[step.inputs[i]].type);
    if (!step.given_dtypes.empty()) types_.back().dtype = step.given_dtypes[i];
    inputs_.push_back(&types_.back());
  }
  const std::size_t copies = step.plan.bf16_copy == KernelPlan::Bf16Copy::wanted ? 1 : 0;
  for (std::size_t i = 0; i + copies < step.outputs.size(); ++i) outputs_.push_back(plan.tensors[step.outputs[i]].type);
  request_ = {.op = step.op->name(),
              .attributes = step.attributes.get(),
              .inputs = inputs_,
              .outputs = outputs_,
              .input_layouts = step.given_layouts,
              .forward = step.forward_step < 0 ? nullptr : &plan.steps[step.forward_step].plan,
              .training = step.training,
              .threads = plan.options.threads,
              .deterministic = plan.options.deterministic,
              .tune = plan.options.tune,
              .fast_math = plan.options.fast_math,
              .tf32 = plan.options.tf32};
}

bool has_kernel(const GraphNode& node, const Graph& graph, const PlanOptions& options) {
  const NodeTypes types(graph, node);
  const std::vector<Layout> layouts(types.inputs.size());
  const auto chosen = choose(request_for(node, types, layouts, options), options);
  return chosen && chosen->kernel->priority > priority::reference;
}

Selection::Selection(const Graph& graph, Plan& plan)
    : graph_(graph),
      plan_(plan),
      differentiated_(graph.nodes().size()),
      step_of_node_(graph.nodes().size(), -1),
      primary_(graph.values().size(), -1) {
  for (const GraphNode& node : graph.nodes()) {
    if (node.forward >= 0) differentiated_[node.forward] = true;
  }
}

int Selection::root_of(int state) const {
  const int root = graph_.state_spec()[state].root;
  return root < 0 ? state : root;
}

void Selection::run() {
  for (const Graph::Update& update : graph_.updates()) updated_roots_.insert(root_of(update.state));
  for (int node = 0; node < static_cast<int>(graph_.nodes().size()); ++node) {
    switch (graph_.nodes()[node].op->storage()) {
      case Op::Storage::compute:
        select_node(node);
        break;
      case Op::Storage::view:
        select_view(node);
        break;
      case Op::Storage::pack:
        select_pack(node);
        break;
    }
  }
  place_updates();
  keep_copies();
  collect_outputs();
}

int Selection::add_storage(Storage storage) {
  plan_.storages.push_back(std::move(storage));
  pinned_.push_back(plan_.storages.back().kind != Storage::Kind::transient);
  return static_cast<int>(plan_.storages.size()) - 1;
}

int Selection::add_tensor(const TensorType& type, const Layout& layout, int storage, std::size_t offset) {
  plan_.tensors.push_back({type, layout, storage, offset});
  return static_cast<int>(plan_.tensors.size()) - 1;
}

std::pair<int, std::size_t> Selection::state_memory(int state) {
  const StateVariable& variable = graph_.state_spec()[state];
  const int root = root_of(state);
  const auto found = state_storage_.find(root);
  const std::size_t offset = static_cast<std::size_t>(variable.root_offset) * size_bytes(variable.type.dtype);
  if (found != state_storage_.end()) return {found->second, offset};
  const StateVariable& owner = graph_.state_spec()[root];
  const int storage =
      add_storage({.kind = Storage::Kind::state, .bytes = owner.type.bytes(), .state = root, .name = owner.name});
  state_storage_[root] = storage;
  return {storage, offset};
}

int Selection::tensor_of(int value) {
  if (primary_[value] >= 0) return primary_[value];
  const ValueInfo& info = graph_.info(value);
  if (info.kind == ValueInfo::Kind::state) {
    const auto [storage, offset] = state_memory(info.state);
    return primary_[value] = add_tensor(info.type, graph_.state_spec()[info.state].layout, storage, offset);
  }
  require(info.kind != ValueInfo::Kind::result, "a value is read before it is computed");
  const Storage::Kind kind = info.kind == ValueInfo::Kind::input    ? Storage::Kind::input
                             : info.kind == ValueInfo::Kind::scalar ? Storage::Kind::scalar
                                                                    : Storage::Kind::constant;
  const int storage =
      add_storage({.kind = kind, .bytes = info.type.bytes(), .value = value, .name = graph_.value_name(value)});
  return primary_[value] = add_tensor(info.type, {}, storage);
}

int Selection::add_copy(int from, int to, const std::string& path) {
  PlannedStep step;
  step.op = &OpRegistry::instance().get("reorder");
  step.attributes = std::make_shared<ReorderAttributes>(plan_.tensors[from].layout, plan_.tensors[to].layout);
  step.path = path;
  step.inputs = {from};
  step.outputs = {to};
  step.given_layouts = {plan_.tensors[from].layout};
  const StepRequest request(plan_, step);
  auto choice = choose(request.get(), plan_.options);
  require(choice.has_value(), "the device has no reorder between two layouts");
  step.kernel = choice->kernel;
  step.plan = std::move(choice->plan);
  step.cost.bytes = static_cast<double>(plan_.tensors[from].layout.bytes(plan_.tensors[from].type) +
                                        plan_.tensors[to].layout.bytes(plan_.tensors[to].type));
  if (step.plan.workspace_bytes) {
    step.workspace = add_storage({.bytes = step.plan.workspace_bytes, .name = "workspace of reorder"});
  }
  plan_.steps.push_back(std::move(step));
  return to;
}

bool Selection::place_in(int value, const Layout& layout) {
  const int tensor = primary_[value];
  const int node = graph_.info(value).node;
  if (node < 0 || step_of_node_[node] < 0 || !may_place(plan_.tensors[tensor].storage)) return false;
  PlannedStep& step = plan_.steps[step_of_node_[node]];
  if (step.outputs[0] != tensor || std::ranges::find(step.plan.other_layouts, layout) == step.plan.other_layouts.end())
    return false;
  const int storage = plan_.tensors[tensor].storage;
  for (int other = 0; other < static_cast<int>(plan_.tensors.size()); ++other) {
    if (other != tensor && plan_.tensors[other].storage == storage) return false;  // a view, or under another name
  }
  for (const PlannedStep& later : plan_.steps) {
    if (std::ranges::find(later.inputs, tensor) != later.inputs.end()) return false;
  }
  step.plan.outputs[0] = plan_.tensors[tensor].layout = layout;
  step.plan.other_layouts.clear();
  plan_.storages[storage].bytes = layout.bytes(plan_.tensors[tensor].type);
  return true;
}

int Selection::tensor_in(int value, const Layout& layout, std::optional<DType> dtype) {
  const int tensor = tensor_of(value);
  const ValueInfo& info = graph_.info(value);
  const TensorType type{dtype.value_or(info.type.dtype), info.type.shape};
  if (plan_.tensors[tensor].type == type && plan_.tensors[tensor].layout.same_places(type.shape, layout)) {
    if (plan_.tensors[tensor].layout == layout) return tensor;
    return add_tensor(type, layout, plan_.tensors[tensor].storage, plan_.tensors[tensor].offset);
  }
  if (!dtype && place_in(value, layout)) return tensor;
  // What this program changes anyway is reordered when it is used, which holds memory for no longer than that.
  if (info.kind == ValueInfo::Kind::state && !updated_roots_.contains(root_of(info.state))) {
    const auto [found, added] = working_copies_.try_emplace({info.state, layout.tag(), type.dtype}, -1);
    if (added) {
      const std::string name =
          fmt::format("{} as {} {}", graph_.state_spec()[info.state].name, trainctl::name(type.dtype), layout.tag());
      const int storage = add_storage({.kind = Storage::Kind::working_copy,
                                       .bytes = layout.bytes(type),
                                       .state = info.state,
                                       .layout = layout,
                                       .dtype = type.dtype,
                                       .name = name});
      found->second = add_tensor(type, layout, storage);
    }
    return found->second;
  }
  const auto [found, added] = reordered_.try_emplace({value, layout.tag(), type.dtype}, -1);
  if (added) {
    const int storage = add_storage({.bytes = layout.bytes(type), .name = graph_.value_name(value) + " reordered"});
    found->second = add_tensor(type, layout, storage);
    const std::string path = info.node >= 0 ? graph_.nodes()[info.node].path : "";
    add_copy(tensor, found->second, path);
  }
  return found->second;
}

void Selection::select_node(int index) {
  const GraphNode& node = graph_.nodes()[index];
  PlannedStep step;
  step.op = node.op;
  step.attributes = node.attributes;
  step.path = node.path;
  step.node = index;
  step.forward_step = node.forward < 0 ? -1 : step_of_node_[node.forward];
  step.training = differentiated_[index];

  const NodeTypes types(graph_, node);
  for (const int input : node.inputs) {
    step.given_layouts.push_back(input < 0 ? Layout() : plan_.tensors[tensor_of(input)].layout);
    step.given_dtypes.push_back(input < 0 ? DType::f32 : graph_.info(input).type.dtype);
  }
  KernelRequest request = request_for(node, types, step.given_layouts, plan_.options);
  request.forward = step.forward_step < 0 ? nullptr : &plan_.steps[step.forward_step].plan;
  request.training = step.training;
  auto choice = choose(request, plan_.options);
  if (!choice) {
    fail(ErrorKind::environment, "{}: no kernel for '{}' on device {}; use --device cpu for this model", node.path,
         node.op->name(), plan_.options.device);
  }
  if (!choice->lost.empty())
    plan_.lost_choices.push_back({std::string(node.op->name()), node.path, choice->lost, choice->plan.implementation});
  step.kernel = choice->kernel;
  step.plan = std::move(choice->plan);
  step.cost = node.op->cost(*node.attributes, types.inputs, types.outputs);

  for (std::size_t i = 0; i < node.inputs.size(); ++i) {
    const auto& dtypes = step.plan.input_dtypes;
    step.inputs.push_back(
        node.inputs[i] < 0 ? -1
                           : tensor_in(node.inputs[i], step.plan.inputs[i], dtypes.empty() ? std::nullopt : dtypes[i]));
  }
  for (std::size_t i = 0; i < node.outputs.size(); ++i) {
    const Layout& layout = step.plan.outputs[i];
    const int storage = add_storage(
        {.bytes = layout.bytes(types.outputs[i]), .name = std::string(node.op->name()) + " of " + node.path});
    step.outputs.push_back(primary_[node.outputs[i]] = add_tensor(types.outputs[i], layout, storage));
  }
  if (step.plan.workspace_bytes) {
    step.workspace = add_storage(
        {.bytes = step.plan.workspace_bytes, .name = fmt::format("workspace of {} {}", node.op->name(), node.path)});
  }
  if (step.plan.residual_bytes) {
    step.residual = add_storage(
        {.bytes = step.plan.residual_bytes, .name = fmt::format("residual of {} {}", node.op->name(), node.path)});
  } else if (step.forward_step >= 0) {
    step.residual = plan_.steps[step.forward_step].residual;
  }
  step_of_node_[index] = static_cast<int>(plan_.steps.size());
  plan_.steps.push_back(std::move(step));
}

void Selection::select_view(int index) {
  const GraphNode& node = graph_.nodes()[index];
  const int from = tensor_in(node.inputs[0], Layout());
  primary_[node.outputs[0]] =
      add_tensor(graph_.info(node.outputs[0]).type, {}, plan_.tensors[from].storage, plan_.tensors[from].offset);
}

void Selection::merge(int storage, int into, std::size_t offset) {
  for (PlacedTensor& tensor : plan_.tensors) {
    if (tensor.storage != storage) continue;
    tensor.storage = into;
    tensor.offset += offset;
  }
  plan_.storages[storage].kind = Storage::Kind::merged;
}

bool Selection::may_place(int storage) const {
  return plan_.storages[storage].kind == Storage::Kind::transient && !pinned_[storage];
}

void Selection::select_pack(int index) {
  const GraphNode& node = graph_.nodes()[index];
  const auto& attributes = as<PackAttributes>(*node.attributes);
  const TensorType& type = graph_.info(node.outputs[0]).type;
  const int storage = add_storage({.bytes = type.bytes(), .name = "pack of " + node.path});
  primary_[node.outputs[0]] = add_tensor(type, {}, storage);
  const StateSpec& spec = graph_.state_spec();
  const std::vector<int> members = attributes.group < 0 ? std::vector<int>() : spec.members(attributes.group);
  for (std::size_t i = 0; i < node.inputs.size(); ++i) {
    const Layout layout = members.empty() ? Layout() : spec[members[i]].layout;
    const std::size_t offset = static_cast<std::size_t>(attributes.offsets[i]) * size_bytes(type.dtype);
    const TensorType input_type = graph_.info(node.inputs[i]).type;
    const int primary = tensor_of(node.inputs[i]);
    // A gradient in a kernel's own layout is reordered right into its place.
    const bool in_place = plan_.tensors[primary].layout.same_places(input_type.shape, layout) &&
                          may_place(plan_.tensors[primary].storage) && plan_.tensors[primary].offset == 0 &&
                          plan_.storages[plan_.tensors[primary].storage].bytes == input_type.bytes();
    if (in_place) {
      merge(plan_.tensors[primary].storage, storage, offset);
    } else {
      add_copy(primary, add_tensor(input_type, layout, storage, offset), node.path);
    }
  }
}

void Selection::collect_outputs() {
  for (const Graph::Output& output : graph_.outputs())
    plan_.outputs.push_back({output.name, tensor_in(output.value, Layout())});
}

}  // namespace trainctl
