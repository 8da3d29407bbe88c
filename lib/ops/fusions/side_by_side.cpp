// Nodes of little work that do not wait for each other -> one of all: moving averages at one rate, increments, sums of
// a step's numbers, choices by one flag. The running statistics of all batch norms are then updated at once.
#include <algorithm>
#include <memory>
#include <span>
#include <utility>

#include "ops/fusions/pattern.h"
#include "ops/metric.h"
#include "ops/norm.h"

namespace trainctl {
namespace {

using namespace fusion;

/// How the operands of an op with several results are ordered: some that all results share, then `each` groups of one
/// for each result, then more that are shared. Whatever else of two nodes has to be equal, and their attributes as one.
struct Family {
  std::string_view op;
  std::size_t before, each;
  bool (*alike)(const GraphNode& a, const GraphNode& b) = [](const GraphNode&, const GraphNode&) { return true; };
  AttributesPtr (*joined)(const GraphNode& a, const GraphNode& b) = [](const GraphNode& a, const GraphNode&) {
    return a.attributes;
  };
};

template <typename A, typename Numbers>
AttributesPtr appended(const GraphNode& a, const GraphNode& b, Numbers A::*numbers) {
  auto all = std::make_shared<A>(*attributes_of<A>(a));
  const Numbers& more = attributes_of<A>(b)->*numbers;
  ((*all).*numbers).insert(((*all).*numbers).end(), more.begin(), more.end());
  return all;
}

const Family families[] = {
    {"increment", 0, 1},
    {"select", 1, 2},
    {"accumulate", 0, 2, [](const GraphNode&, const GraphNode&) { return true; },
     [](const GraphNode& a, const GraphNode& b) { return appended(a, b, &AccumulateAttributes::factors); }},
    {"moving_average", 0, 2,
     [](const GraphNode& a, const GraphNode& b) {
       return attributes_of<MovingAverageAttributes>(a)->rate == attributes_of<MovingAverageAttributes>(b)->rate;
     },
     [](const GraphNode& a, const GraphNode& b) { return appended(a, b, &MovingAverageAttributes::scales); }},
};

class FuseSideBySide final : public Rewrite {
 public:
  std::string_view name() const override { return "side_by_side"; }
  int order() const override { return 20; }
  bool apply(Graph& graph, int node, const AcceptFused& accept) const override {
    const GraphNode& own = graph.nodes()[node];
    const auto family = std::ranges::find_if(families, [&](const Family& f) { return is(own, f.op); });
    if (family == std::end(families)) return false;
    for (int earlier = node - 1; earlier >= 0; --earlier) {
      const GraphNode& other = graph.nodes()[earlier];
      if (other.op != own.op || !std::ranges::equal(shared(*family, other, false), shared(*family, own, false)) ||
          !std::ranges::equal(shared(*family, other, true), shared(*family, own, true)) || !family->alike(other, own))
        continue;
      if (replace(graph, {earlier, node}, joined(*family, other, own), accept)) return true;
    }
    return false;
  }

 private:
  /// The operands that all results share, before or after the others.
  static std::span<const int> shared(const Family& family, const GraphNode& node, bool after) {
    const std::span<const int> inputs = node.inputs;
    return after ? inputs.subspan(family.before + family.each * node.outputs.size()) : inputs.first(family.before);
  }

  static GraphNode joined(const Family& family, const GraphNode& a, const GraphNode& b) {
    GraphNode all = a;
    if (a.path != b.path) all.path.clear();
    all.attributes = family.joined(a, b);
    all.outputs.insert(all.outputs.end(), b.outputs.begin(), b.outputs.end());
    all.inputs.assign(a.inputs.begin(), a.inputs.begin() + family.before);
    for (std::size_t group = 0; group < family.each; ++group) {
      for (const GraphNode* node : {&a, &b}) {
        const std::size_t count = node->outputs.size();
        const auto first = node->inputs.begin() + family.before + group * count;
        all.inputs.insert(all.inputs.end(), first, first + count);
      }
    }
    const auto after = shared(family, a, true);
    all.inputs.insert(all.inputs.end(), after.begin(), after.end());
    return all;
  }
};

const RegisterRewrite<FuseSideBySide> registered;

}  // namespace
}  // namespace trainctl
