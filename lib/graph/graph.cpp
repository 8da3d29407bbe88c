#include "graph/graph.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "graph/op.h"
#include "graph/text_hash.h"

namespace trainctl {

Value Graph::add_value(ValueInfo info) {
  values_.push_back(std::move(info));
  return {this, static_cast<int>(values_.size()) - 1};
}

Value Graph::input(std::string name, TensorType type) {
  return add_value({.type = type, .kind = ValueInfo::Kind::input, .name = std::move(name)});
}

Value Graph::scalar(std::string_view name, DType dtype) {
  for (std::size_t id = 0; id < values_.size(); ++id) {
    const ValueInfo& info = values_[id];
    if (info.kind == ValueInfo::Kind::scalar && info.name == name) {
      require(info.type.dtype == dtype, "a scalar is asked for with two types");
      return {this, static_cast<int>(id)};
    }
  }
  return add_value({.type = {dtype, {}}, .kind = ValueInfo::Kind::scalar, .name = std::string(name)});
}

Value Graph::constant(TensorType type, std::vector<double> values) {
  require(values.size() == 1 || static_cast<std::int64_t>(values.size()) == type.elements(),
          "a constant has the wrong number of values");
  for (std::size_t id = 0; id < values_.size(); ++id) {
    const ValueInfo& info = values_[id];
    if (info.kind == ValueInfo::Kind::constant && info.type == type && info.constant == values)
      return {this, static_cast<int>(id)};
  }
  return add_value({.type = type, .kind = ValueInfo::Kind::constant, .constant = std::move(values)});
}

Value Graph::state(int index) {
  for (std::size_t id = 0; id < values_.size(); ++id) {
    if (values_[id].kind == ValueInfo::Kind::state && values_[id].state == index) return {this, static_cast<int>(id)};
  }
  return add_value({.type = (*state_)[index].type, .kind = ValueInfo::Kind::state, .state = index});
}

Values Graph::apply(const Op& op, AttributesPtr attributes, const Values& inputs, std::string path, int forward) {
  static const AttributesPtr none = std::make_shared<Attributes>();
  GraphNode node{
      .op = &op, .attributes = attributes ? std::move(attributes) : none, .path = std::move(path), .forward = forward};
  std::vector<const TensorType*> types;
  for (const Value& input : inputs) {
    require(!input || input.graph() == this, "an operand belongs to another graph");
    node.inputs.push_back(input.id());
    types.push_back(input ? &values_[input.id()].type : nullptr);
  }
  const std::vector<TensorType> results = op.infer(*node.attributes, types);
  Values outputs;
  const int index = static_cast<int>(nodes_.size());
  for (const TensorType& type : results) {
    outputs.push_back(add_value({.type = type, .node = index, .output = static_cast<int>(outputs.size())}));
    node.outputs.push_back(outputs.back().id());
  }
  nodes_.push_back(std::move(node));
  return outputs;
}

void Graph::update(int state, Value value) {
  require(value.type() == (*state_)[state].type, "a state variable is updated with a value of another type");
  for (Update& update : updates_) {
    if (update.state == state) return void(update.value = value.id());
  }
  updates_.push_back({state, value.id()});
}

Value Graph::latest(int state) {
  for (const Update& update : updates_) {
    if (update.state == state) return {this, update.value};
  }
  return this->state(state);
}

void Graph::output(std::string name, Value value) {
  outputs_.push_back({std::move(name), value.id()});
}

std::string Graph::value_name(int value) const {
  const ValueInfo& info = values_[value];
  switch (info.kind) {
    case ValueInfo::Kind::input:
      return info.name;
    case ValueInfo::Kind::scalar:
      return "$" + info.name;
    case ValueInfo::Kind::state:
      return (*state_)[info.state].name;
    case ValueInfo::Kind::constant:
      return info.constant.size() == 1 ? fmt::format("{}", info.constant[0])
                                       : fmt::format("constant{}", info.type.shape.text());
    case ValueInfo::Kind::result:
      return fmt::format("%{}", value);
  }
  return "";
}

std::vector<int> Graph::reader_counts() const {
  std::vector<int> counts(values_.size());
  for (const GraphNode& node : nodes_) {
    for (const int input : node.inputs) {
      if (input >= 0) ++counts[input];
    }
  }
  for (const Update& update : updates_) ++counts[update.value];
  for (const Output& output : outputs_) ++counts[output.value];
  return counts;
}

void Graph::replace_uses(int old_value, int new_value, int first_node) {
  require(values_[old_value].type == values_[new_value].type, "a value is replaced by one of another type");
  for (std::size_t i = first_node; i < nodes_.size(); ++i) std::ranges::replace(nodes_[i].inputs, old_value, new_value);
  for (Update& update : updates_) {
    if (update.value == old_value) update.value = new_value;
  }
  for (Output& output : outputs_) {
    if (output.value == old_value) output.value = new_value;
  }
}

void Graph::keep_updates(const std::set<int>& states) {
  std::erase_if(updates_, [&](const Update& update) { return !states.contains(update.state); });
  outputs_.clear();
}

void Graph::remove_dead_nodes() {
  std::vector<bool> needed(values_.size());
  for (const Update& update : updates_) needed[update.value] = true;
  for (const Output& output : outputs_) needed[output.value] = true;
  std::vector<bool> keep(nodes_.size());
  for (std::size_t i = nodes_.size(); i-- > 0;) {
    keep[i] = std::ranges::any_of(nodes_[i].outputs, [&](int output) { return needed[output]; });
    if (!keep[i]) continue;
    for (const int input : nodes_[i].inputs) {
      if (input >= 0) needed[input] = true;
    }
  }
  std::vector<int> moved_to(nodes_.size(), -1);
  std::vector<GraphNode> kept;
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    if (!keep[i]) continue;
    moved_to[i] = static_cast<int>(kept.size());
    kept.push_back(std::move(nodes_[i]));
  }
  for (GraphNode& node : kept) {
    if (node.forward >= 0) node.forward = moved_to[node.forward];
    for (const int output : node.outputs) values_[output].node = static_cast<int>(&node - kept.data());
  }
  nodes_ = std::move(kept);
}

std::string Graph::text() const {
  std::string text;
  for (const GraphNode& node : nodes_) {
    for (const int output : node.outputs) text += fmt::format("%{}:{} ", output, values_[output].type.text());
    text += fmt::format("= {}[{}](", node.op->name(), node.attributes->text());
    for (const int input : node.inputs) {
      text += input < 0 ? std::string("_, ") : fmt::format("{}:{}, ", value_name(input), values_[input].type.text());
    }
    text += fmt::format(") @{}\n", node.path);
  }
  for (const Update& update : updates_)
    text += fmt::format("{} := {}\n", (*state_)[update.state].name, value_name(update.value));
  for (const Output& output : outputs_) text += fmt::format("{} -> {}\n", value_name(output.value), output.name);
  return text;
}

std::string Graph::hash() const {
  return text_hash(text());
}

}  // namespace trainctl
