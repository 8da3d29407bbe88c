// Graph rewrites: patterns of nodes that become one node of the same meaning.
#pragma once

#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "graph/graph.h"

namespace trainctl {

/// Whether the caller wants a fused node: it has a kernel that is worth it. `fused` has its operands and outputs as ids
/// of `graph`.
using AcceptFused = std::function<bool(const GraphNode& fused, const Graph& graph)>;

/// One rule: a pattern that ends in a node of some op, and the node it may become. A rule never swallows a value that
/// is read elsewhere too, so rewriting after the gradients exist takes nothing from them.
class Rewrite {
 public:
  virtual ~Rewrite() = default;
  virtual std::string_view name() const = 0;
  /// Rules of lower order run first, over the whole graph; of equal order by name.
  virtual int order() const { return 0; }
  /// Tries the pattern at node `node`; true if the graph has changed, which then has fewer nodes, in another order.
  virtual bool apply(Graph& graph, int node, const AcceptFused& accept) const = 0;
};

class RewriteRegistry {
 public:
  static RewriteRegistry& instance();
  /// An internal Error if the name is taken.
  void add(std::unique_ptr<Rewrite> rewrite);
  const std::vector<std::unique_ptr<Rewrite>>& rewrites() const { return rewrites_; }

 private:
  std::vector<std::unique_ptr<Rewrite>> rewrites_;  ///< by order and name, so that link order changes nothing
};

/// Registers a rule at load time: const RegisterRewrite<LinearActivation> registered;
template <typename R>
struct RegisterRewrite {
  RegisterRewrite() { RewriteRegistry::instance().add(std::make_unique<R>()); }
};

/// Applies the rules, in order, until none fits any more, and drops nodes without readers. Returns how often a rule
/// applied.
int run_rewrites(Graph& graph, const AcceptFused& accept);

}  // namespace trainctl
