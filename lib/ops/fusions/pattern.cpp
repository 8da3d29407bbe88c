#include "ops/fusions/pattern.h"

#include <algorithm>
#include <memory>

#include "base/error.h"
#include "ops/conv2d.h"
#include "ops/elementwise.h"
#include "ops/linear.h"
#include "ops/norm.h"
#include "ops/pool2d.h"

namespace trainctl::fusion {

int producer(const Graph& graph, int value) {
  return value >= 0 && graph.info(value).kind == ValueInfo::Kind::result ? graph.info(value).node : -1;
}

std::vector<int> readers(const Graph& graph, int value) {
  std::vector<int> found;
  for (std::size_t i = 0; i < graph.nodes().size(); ++i) {
    if (std::ranges::find(graph.nodes()[i].inputs, value) != graph.nodes()[i].inputs.end())
      found.push_back(static_cast<int>(i));
  }
  return found;
}

bool read_once(const Graph& graph, int value) {
  return graph.reader_counts()[value] == 1 && readers(graph, value).size() == 1;
}

void set_input(GraphNode& node, std::size_t i, int value) {
  if (node.inputs.size() <= i) node.inputs.resize(i + 1, -1);
  node.inputs[i] = value;
}

bool replace(Graph& graph, const std::vector<int>& swallowed, GraphNode fused, const AcceptFused& accept) {
  std::vector<const TensorType*> inputs;
  for (const int input : fused.inputs) inputs.push_back(input < 0 ? nullptr : &graph.info(input).type);
  const std::vector<TensorType> outputs = fused.op->infer(*fused.attributes, inputs);
  require(outputs.size() == fused.outputs.size(), "a fusion changes the number of outputs");
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    require(outputs[i] == graph.info(fused.outputs[i]).type, "a fusion changes the type of an output");
  }
  return accept(fused, graph) && graph.fuse(swallowed, std::move(fused));
}

bool carries_activation(const GraphNode& node) {
  return is(node, "linear") || is(node, "conv2d") || is(node, "batch_norm") || is(node, "batch_norm_inference") ||
         is(node, "add");
}

Activation activation_of(const GraphNode& node) {
  if (const auto* linear = attributes_of<LinearAttributes>(node)) return linear->activation;
  if (const auto* conv = attributes_of<Conv2dAttributes>(node)) return conv->activation;
  if (const auto* norm = attributes_of<BatchNormAttributes>(node)) return norm->activation;
  if (const auto* pool = attributes_of<Pool2dAttributes>(node)) return pool->activation;
  if (const auto* add = attributes_of<AddAttributes>(node)) return add->activation;
  return {};
}

namespace {

template <typename A>
AttributesPtr copy_with(const A& attributes, const Activation& activation) {
  auto copy = std::make_shared<A>(attributes);
  copy->activation = activation;
  return copy;
}

}  // namespace

AttributesPtr with_activation(const GraphNode& node, const Activation& activation) {
  if (const auto* linear = attributes_of<LinearAttributes>(node)) return copy_with(*linear, activation);
  if (const auto* conv = attributes_of<Conv2dAttributes>(node)) return copy_with(*conv, activation);
  if (const auto* norm = attributes_of<BatchNormAttributes>(node)) return copy_with(*norm, activation);
  if (const auto* pool = attributes_of<Pool2dAttributes>(node)) return copy_with(*pool, activation);
  require(is(node, "add"), "the op carries no activation");
  return std::make_shared<AddAttributes>(activation);
}

int sum_operand(const GraphNode& node) {
  if (is(node, "conv2d") || is(node, "batch_norm")) return 3;
  return is(node, "batch_norm_inference") ? 5 : -1;
}

}  // namespace trainctl::fusion
