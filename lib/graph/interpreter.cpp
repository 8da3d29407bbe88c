#include "graph/interpreter.h"

#include <vector>

#include "base/error.h"

namespace trainctl {
namespace {

RefTensor start_of(const Graph& graph, int id, const Bindings& bindings) {
  const ValueInfo& info = graph.info(id);
  if (info.kind == ValueInfo::Kind::constant) {
    RefTensor tensor(info.type.shape, info.constant[0]);
    if (info.constant.size() > 1) tensor.data = info.constant;
    return tensor;
  }
  const bool is_state = info.kind == ValueInfo::Kind::state;
  const auto& named = is_state ? bindings.state : bindings.inputs;
  const std::string name = is_state ? graph.state_spec()[info.state].name : info.name;
  const auto found = named.find(name);
  if (found == named.end()) fail(ErrorKind::internal, "'{}' is not bound", name);
  require(found->second.shape == info.type.shape, "a bound value has the wrong shape");
  return found->second;
}

}  // namespace

Interpretation interpret(const Graph& graph, const Bindings& bindings) {
  Interpretation result;
  const auto value = [&](int id) -> const RefTensor& {
    const auto found = result.values.find(id);
    if (found != result.values.end()) return found->second;
    return result.values.emplace(id, start_of(graph, id, bindings)).first->second;
  };
  for (const GraphNode& node : graph.nodes()) {
    std::vector<const RefTensor*> inputs;
    for (const int input : node.inputs) inputs.push_back(input < 0 ? nullptr : &value(input));
    std::vector<RefTensor> outputs;
    for (const int output : node.outputs) outputs.emplace_back(graph.info(output).type.shape);
    node.op->reference(*node.attributes, inputs, outputs);
    for (std::size_t i = 0; i < outputs.size(); ++i) result.values[node.outputs[i]] = std::move(outputs[i]);
  }
  for (const auto& update : graph.updates())
    result.new_state[graph.state_spec()[update.state].name] = value(update.value);
  for (const auto& output : graph.outputs()) result.outputs[output.name] = value(output.value);
  return result;
}

}  // namespace trainctl
