// A graph of one op and its vjp, for checks of gradients and of kernel pairs.
#pragma once

#include <string>
#include <vector>

#include "graph/builder.h"
#include "graph/graph.h"
#include "graph/interpreter.h"
#include "ops/op_case.h"

namespace trainctl::test {

/// Node 0 is the op on graph inputs "x0", "x1", ...; the nodes after it compute the gradient of sum(cotangent * output
/// 0). The other outputs (statistics, indices) get no cotangent.
class GradientGraph {
 public:
  explicit GradientGraph(const OpInstance& instance);
  GradientGraph(const GradientGraph&) = delete;
  GradientGraph& operator=(const GradientGraph&) = delete;

  const Graph& graph() const { return graph_; }
  const Values& gradients() const { return gradients_; }
  const RefTensor& cotangent() const { return bindings_.inputs.at("cotangent"); }
  Interpretation interpret() const { return trainctl::interpret(graph_, bindings_); }

 private:
  StateSpec state_;
  Graph graph_{state_};
  BuildContext context_;
  Bindings bindings_;
  Values gradients_;
};

/// Compares the vjp with central differences of the reference, for each operand that the case marks. Returns what is
/// wrong, or "".
std::string check_gradient(const OpCase& op_case);

}  // namespace trainctl::test
