// Nodes of little work that do not wait for each other -> one of all: moving averages at one rate, and increments. The
// running statistics of all batch norms are then updated at once.
#include <memory>
#include <utility>

#include "ops/fusions/pattern.h"
#include "ops/norm.h"

namespace trainctl {
namespace {

using namespace fusion;

int count_of(const GraphNode& node) {
  return static_cast<int>(node.outputs.size());
}

class FuseSideBySide final : public Rewrite {
 public:
  std::string_view name() const override { return "side_by_side"; }
  int order() const override { return 20; }
  bool apply(Graph& graph, int node, const AcceptFused& accept) const override {
    const GraphNode& own = graph.nodes()[node];
    if (!is(own, "moving_average") && !is(own, "increment")) return false;
    for (int earlier = node - 1; earlier >= 0; --earlier) {
      const GraphNode& other = graph.nodes()[earlier];
      if (!alike(other, own)) continue;
      if (replace(graph, {earlier, node}, joined(other, own), accept)) return true;
    }
    return false;
  }

 private:
  static bool alike(const GraphNode& a, const GraphNode& b) {
    if (a.op != b.op) return false;
    if (is(a, "increment")) return true;
    return attributes_of<MovingAverageAttributes>(a)->rate == attributes_of<MovingAverageAttributes>(b)->rate &&
           input(a, 2 * count_of(a)) == input(b, 2 * count_of(b));
  }

  static GraphNode joined(const GraphNode& a, const GraphNode& b) {
    GraphNode all = a;
    if (a.path != b.path) all.path.clear();
    all.outputs.insert(all.outputs.end(), b.outputs.begin(), b.outputs.end());
    if (is(a, "increment")) {
      all.inputs.insert(all.inputs.end(), b.inputs.begin(), b.inputs.end());
      return all;
    }
    const int count = count_of(b);
    all.inputs.insert(all.inputs.begin() + 2 * count_of(a), b.inputs.begin() + count, b.inputs.begin() + 2 * count);
    all.inputs.insert(all.inputs.begin() + count_of(a), b.inputs.begin(), b.inputs.begin() + count);
    MovingAverageAttributes attributes = *attributes_of<MovingAverageAttributes>(a);
    const auto& more = attributes_of<MovingAverageAttributes>(b)->scales;
    attributes.scales.insert(attributes.scales.end(), more.begin(), more.end());
    all.attributes = std::make_shared<MovingAverageAttributes>(std::move(attributes));
    return all;
  }
};

const RegisterRewrite<FuseSideBySide> registered;

}  // namespace
}  // namespace trainctl
