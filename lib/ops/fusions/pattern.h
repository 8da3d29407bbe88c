// What fusion rules ask of a graph.
#pragma once

#include <string_view>
#include <utility>
#include <vector>

#include "graph/graph.h"
#include "graph/op.h"
#include "graph/rewrite.h"
#include "ops/activation.h"

namespace trainctl::fusion {

inline bool is(const GraphNode& node, std::string_view op) {
  return node.op->name() == op;
}

/// Index of the node that computes a value, or -1 if it is an input, state, scalar or constant.
int producer(const Graph& graph, int value);

/// Nodes that read a value, in order.
std::vector<int> readers(const Graph& graph, int value);

/// Whether exactly one node reads the value, once, and neither an update nor an output does.
bool read_once(const Graph& graph, int value);

/// The attributes as those of an op, or null where they are another's (or none).
template <typename A>
const A* attributes_of(const GraphNode& node) {
  return dynamic_cast<const A*>(node.attributes.get());
}

/// Operand `i` of a node, or -1 where it is left out.
inline int input(const GraphNode& node, std::size_t i) {
  return i < node.inputs.size() ? node.inputs[i] : -1;
}

/// Puts `value` at operand `i`, with operands left out before it as needed.
void set_input(GraphNode& node, std::size_t i, int value);

/// Asks the caller, checks that the types of its outputs are those it replaces, and fuses.
bool replace(Graph& graph, const std::vector<int>& swallowed, GraphNode fused, const AcceptFused& accept);

/// Whether an op can apply an activation to its result: linear, conv2d, batch_norm, batch_norm_inference, add.
bool carries_activation(const GraphNode& node);
/// The activation in an op's attributes, and the attributes with another: of the ops above and their backward ops.
Activation activation_of(const GraphNode& node);
AttributesPtr with_activation(const GraphNode& node, const Activation& activation);

/// The operand by which an op takes a sum, or -1 if it takes none. Ops: conv2d, batch_norm, batch_norm_inference.
int sum_operand(const GraphNode& node);

}  // namespace trainctl::fusion
