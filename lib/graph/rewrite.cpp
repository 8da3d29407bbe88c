#include "graph/rewrite.h"

#include <algorithm>
#include <utility>

#include "base/error.h"

namespace trainctl {
namespace {

/// An order of nodes in which each comes after the producers of its inputs, otherwise the one they have.
class Ordering {
 public:
  Ordering(const std::vector<GraphNode>& nodes, const std::vector<bool>& dropped, std::size_t values)
      : nodes_(nodes), producers_(values, -1), states_(nodes.size(), State::waiting) {
    for (std::size_t i = 0; i < nodes.size(); ++i) {
      if (dropped[i]) {
        states_[i] = State::placed;
        continue;
      }
      for (const int output : nodes[i].outputs) producers_[output] = static_cast<int>(i);
    }
  }

  /// False if there is a cycle.
  bool find() {
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      if (!place(static_cast<int>(i))) return false;
    }
    return true;
  }
  const std::vector<int>& order() const { return order_; }

 private:
  enum class State : std::uint8_t { waiting, open, placed };

  bool place(int node) {
    if (states_[node] != State::waiting) return states_[node] == State::placed;
    states_[node] = State::open;
    for (const int input : nodes_[node].inputs) {
      if (input >= 0 && producers_[input] >= 0 && !place(producers_[input])) return false;
    }
    states_[node] = State::placed;
    order_.push_back(node);
    return true;
  }

  const std::vector<GraphNode>& nodes_;
  std::vector<int> producers_;
  std::vector<State> states_;
  std::vector<int> order_;
};

}  // namespace

bool Graph::fuse(const std::vector<int>& swallowed, GraphNode fused) {
  const int last = *std::ranges::max_element(swallowed);
  std::vector<bool> dropped(nodes_.size());
  for (const int node : swallowed) dropped[node] = node != last;
  std::vector<GraphNode> nodes = nodes_;
  nodes[last] = std::move(fused);

  Ordering ordering(nodes, dropped, values_.size());
  if (!ordering.find()) return false;
  std::vector<int> moved_to(nodes.size(), -1);
  std::vector<GraphNode> ordered;
  for (const int node : ordering.order()) {
    moved_to[node] = static_cast<int>(ordered.size());
    ordered.push_back(std::move(nodes[node]));
  }
  for (const int node : swallowed) moved_to[node] = moved_to[last];
  for (std::size_t i = 0; i < ordered.size(); ++i) {
    GraphNode& node = ordered[i];
    if (node.forward >= 0) node.forward = moved_to[node.forward];
    for (std::size_t k = 0; k < node.outputs.size(); ++k) {
      values_[node.outputs[k]].node = static_cast<int>(i);
      values_[node.outputs[k]].output = static_cast<int>(k);
    }
  }
  nodes_ = std::move(ordered);
  return true;
}

RewriteRegistry& RewriteRegistry::instance() {
  static RewriteRegistry registry;
  return registry;
}

void RewriteRegistry::add(std::unique_ptr<Rewrite> rewrite) {
  const auto key = [](const Rewrite& rule) { return std::pair(rule.order(), rule.name()); };
  const auto at = std::ranges::lower_bound(rewrites_, key(*rewrite), {}, [&](const auto& rule) { return key(*rule); });
  if (at != rewrites_.end() && key(**at) == key(*rewrite))
    fail(ErrorKind::internal, "rewrite '{}' is registered twice", rewrite->name());
  rewrites_.insert(at, std::move(rewrite));
}

namespace {

/// Applies each rule at each node once; returns how often one applied.
int run_once(Graph& graph, const AcceptFused& accept) {
  int applied = 0;
  for (const auto& rewrite : RewriteRegistry::instance().rewrites()) {
    for (int node = 0; node < static_cast<int>(graph.nodes().size()); ++node) {
      while (node < static_cast<int>(graph.nodes().size()) && rewrite->apply(graph, node, accept)) ++applied;
    }
  }
  return applied;
}

}  // namespace

int run_rewrites(Graph& graph, const AcceptFused& accept) {
  int applied = 0;
  while (const int more = run_once(graph, accept)) applied += more;  // each application removes a node, so this ends
  graph.remove_dead_nodes();
  return applied;
}

}  // namespace trainctl
