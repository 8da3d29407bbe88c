#include "base/text.h"
#include "nn/wiring.h"

namespace trainctl {
namespace {

/// Layers wired as you like: the general form that sequential, residual and parallel are short for.
/// A node reads others by name: `conv` all that it gives, `conv.1` the second of several values, `input` what the graph
/// is given. Of a graph that is the model, `inputs` names what it is given: the fields of the data, which nodes read by
/// these names. Nodes may stand in any order, but not read each other in a circle. Parameters are named by their node:
/// "conv.weight"; a node repeated n times has "conv.0.weight" ... .
struct GraphLayer final : Layer {
  OrderedMap<Component<Layer>> nodes;
  std::vector<std::string> outputs;

  static Schema<GraphLayer> schema() {
    return Schema<GraphLayer>("Layers by name, each with what it reads.")
        .required("nodes", &GraphLayer::nodes, non_empty(),
                  "Names to layers; a layer without `inputs` reads the one before it, the first one `input`.")
        .field("outputs", &GraphLayer::outputs, "What the graph gives; by default what its last node does.")
        .example(
            "{type: graph, nodes: {conv: {type: conv2d, out_channels: 8, kernel_size: 3, padding: same}, "
            "gate: {type: sigmoid, inputs: [conv]}, sum: {type: add, inputs: [conv, gate]}}, outputs: [sum]}");
  }
  void check(Diagnostics& diagnostics, const Node& node) const {
    const Node* map = node.find("nodes");
    for (const Node::Entry& entry : map ? map->entries() : std::span<const Node::Entry>()) {
      if (entry.key == "input") diagnostics.error(entry.key_source, "'input' is what the graph is given: rename it.");
      if (entry.key.empty() || entry.key.find('.') != std::string::npos)
        diagnostics.error(entry.key_source, "the name of a node must have a letter and no '.'.");
    }
  }
  Values build(Builder& b, const Values& in) const override {
    Wiring wiring;
    if (inputs && b.path().empty()) wiring.name_inputs(expect_inputs(in));
    for (const auto& [name, layer] : nodes)
      wiring.add(name, layer->name.value_or(name), layer, layer->inputs.value_or(std::vector<std::string>()));
    return wiring.build(b, in, outputs);
  }

 private:
  /// The names of a whole model's inputs. A config Error unless it is given as many, and no node has such a name.
  const std::vector<std::string>& expect_inputs(const Values& in) const {
    if (in.size() != inputs->size()) {
      fail(ErrorKind::config, "the model has the inputs {}, and the step gives it {}", join(*inputs, ", "),
           counted(in.size(), "value"));
    }
    for (const std::string& input : *inputs) {
      if (nodes.find(input)) fail(ErrorKind::config, "'{}' is an input and a node; rename the node", input);
    }
    return *inputs;
  }
};

const Register<Layer, GraphLayer> registered{"graph"};

}  // namespace
}  // namespace trainctl
