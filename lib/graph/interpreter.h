// Runs a graph by its ops' float64 references: the truth that kernels, gradients and fusions are tested against.
#pragma once

#include <map>
#include <string>

#include "graph/graph.h"
#include "graph/op.h"

namespace trainctl {

/// Values by which a graph is run: inputs and scalars by name, state by name.
struct Bindings {
  std::map<std::string, RefTensor> inputs;
  std::map<std::string, RefTensor> state;
};

struct Interpretation {
  std::map<int, RefTensor> values;             ///< every value of the graph, by id
  std::map<std::string, RefTensor> outputs;    ///< by name
  std::map<std::string, RefTensor> new_state;  ///< by name, only what has an update
};

/// Runs every node in order. An internal Error names what is not bound.
Interpretation interpret(const Graph& graph, const Bindings& bindings);

}  // namespace trainctl
