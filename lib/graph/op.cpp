#include "graph/op.h"

#include "base/error.h"

namespace trainctl {

Values Op::vjp(Builder&, const VjpArguments& arguments) const {
  return Values(arguments.inputs.size());
}

Cost Op::cost(const Attributes&, InputTypes inputs, std::span<const TensorType> outputs) const {
  Cost cost;
  for (const TensorType* input : inputs) cost.bytes += input ? static_cast<double>(input->bytes()) : 0.0;
  for (const TensorType& output : outputs) cost.bytes += static_cast<double>(output.bytes());
  return cost;
}

NodeTypes::NodeTypes(const Graph& graph, const GraphNode& node) {
  for (const int input : node.inputs) inputs.push_back(input < 0 ? nullptr : &graph.info(input).type);
  for (const int output : node.outputs) outputs.push_back(graph.info(output).type);
}

OpRegistry& OpRegistry::instance() {
  static OpRegistry registry;
  return registry;
}

void OpRegistry::add(std::unique_ptr<Op> op) {
  if (find(op->name())) fail(ErrorKind::internal, "op '{}' is registered twice", op->name());
  ops_.push_back(std::move(op));
}

const Op* OpRegistry::find(std::string_view name) const {
  for (const auto& op : ops_) {
    if (op->name() == name) return op.get();
  }
  return nullptr;
}

const Op& OpRegistry::get(std::string_view name) const {
  const Op* op = find(name);
  if (!op) fail(ErrorKind::internal, "there is no op '{}'", name);
  return *op;
}

}  // namespace trainctl
