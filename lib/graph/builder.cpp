#include "graph/builder.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "base/error.h"
#include "base/philox.h"

namespace trainctl {

Builder::Scope::Scope(Builder& builder, std::string_view name) : builder_(builder), path_length_(builder.path_.size()) {
  if (name.empty()) return;
  if (!builder.path_.empty()) builder.path_ += '.';
  builder.path_ += name;
}

Builder::Scope::~Scope() {
  builder_.path_.resize(path_length_);
}

Builder::ModelScope::ModelScope(Builder& builder, std::string prefix, bool training)
    : builder_(builder),
      prefix_(std::exchange(builder.prefix_, std::move(prefix))),
      training_(std::exchange(builder.training_, training)),
      layers_(builder.layers_.size()) {}

Builder::ModelScope::~ModelScope() {
  std::vector<BuiltLayer>& layers = builder_.layers_;
  const std::string_view model = std::string_view(builder_.prefix_).substr(builder_.prefix_.find('/') + 1);
  if (layers.size() > layers_) {
    if (!builder_.built_.insert(builder_.prefix_).second) layers.resize(layers_);
    for (std::size_t i = layers_; i < layers.size(); ++i) layers[i].path.insert(0, model);
  }
  builder_.prefix_ = std::move(prefix_);
  builder_.training_ = training_;
}

Values Builder::apply(std::string_view op, AttributesPtr attributes, const Values& inputs) {
  return graph_->apply(OpRegistry::instance().get(op), std::move(attributes), inputs,
                       forward_ >= 0 ? graph_->nodes()[forward_].path : path_, forward_);
}

int Builder::declared(std::string_view name, TensorType type, Init init, bool trainable) {
  const std::string full = fmt::format("{}{}{}{}", prefix_, path_, path_.empty() ? "" : ".", name);
  const int own = graph_->state_spec().declare({full, type, init, true, trainable});
  const auto other = stand_ins_.find(own);
  return other == stand_ins_.end() ? own : other->second;
}

Value Builder::parameter(std::string_view name, Shape shape, Init init) {
  return graph_->state(declared(name, {DType::f32, shape}, init, true));
}

int Builder::buffer(std::string_view name, TensorType type, Init init) {
  return declared(name, type, init, false);
}

Value Builder::number(double value, std::string_view live_path) {
  return context_->live.contains(live_path) ? graph_->scalar(live_path) : graph_->constant(value);
}

std::uint64_t Builder::random_stream(std::string_view purpose) const {
  return stream_hash(context_->seed, fmt::format("{}{}/{}", prefix_, path_, purpose));
}

Values Builder::gradients(Value objective, std::span<const Value> wrt) {
  require(objective.type().shape.rank() == 0, "gradients need a scalar objective");
  Graph& graph = *graph_;
  const int end = static_cast<int>(graph.nodes().size());

  // Only nodes between `wrt` and the objective take part.
  std::vector<bool> depends(graph.values().size());
  for (const Value& value : wrt) depends[value.id()] = true;
  for (int i = 0; i < end; ++i) {
    const GraphNode& node = graph.nodes()[i];
    if (std::ranges::any_of(node.inputs, [&](int input) { return input >= 0 && depends[input]; })) {
      for (const int output : node.outputs) depends[output] = true;
    }
  }

  Values cotangents(graph.values().size());
  cotangents[objective.id()] = graph.constant(1.0, objective.type().dtype);
  for (int i = end; i-- > 0;) {
    const GraphNode node = graph.nodes()[i];  // a copy: vjp appends to the vector
    Values inputs, outputs, incoming;
    for (const int input : node.inputs) inputs.push_back(input < 0 ? Value() : Value(&graph, input));
    for (const int output : node.outputs) {
      outputs.emplace_back(&graph, output);
      incoming.push_back(cotangents[output]);
    }
    if (std::ranges::none_of(incoming, [](const Value& value) { return static_cast<bool>(value); })) continue;
    const auto wanted = std::make_unique<bool[]>(inputs.size());
    bool any = false;
    for (std::size_t k = 0; k < inputs.size(); ++k) any |= wanted[k] = inputs[k] && depends[inputs[k].id()];
    if (!any) continue;

    forward_ = i;
    const Values gradients = node.op->vjp(
        *this, {*node.attributes, inputs, outputs, incoming, std::span<const bool>(wanted.get(), inputs.size())});
    require(gradients.size() == inputs.size(), "a vjp gave the wrong number of gradients");
    for (std::size_t k = 0; k < inputs.size(); ++k) {
      if (!gradients[k] || !wanted[k]) continue;
      require(gradients[k].type() == inputs[k].type(), "a vjp gave a gradient of another type than its input");
      Value& total = cotangents[inputs[k].id()];
      total = total ? apply1("add", nullptr, {total, gradients[k]}) : gradients[k];
    }
    forward_ = -1;
  }

  Values result;
  for (const Value& value : wrt) result.push_back(cotangents[value.id()]);
  return result;
}

}  // namespace trainctl
