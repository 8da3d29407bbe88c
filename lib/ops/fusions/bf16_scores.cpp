// Ops on the scores of classes read bf16 as it is, without a cast to f32 before them, and give its gradient in bf16,
// without one after them. Kernels compute in f32 either way, so the bits are the same.
#include <utility>
#include <vector>

#include "ops/elementwise.h"
#include "ops/fusions/pattern.h"

namespace trainctl {
namespace {

using namespace fusion;

/// The value that a cast from bf16 gave as `value`, or -1.
int bf16_of(const Graph& graph, int value) {
  const int cast = producer(graph, value);
  if (cast < 0 || !is(graph.nodes()[cast], "cast")) return -1;
  const int narrow = graph.nodes()[cast].inputs[0];
  return graph.info(narrow).type.dtype == DType::bf16 ? narrow : -1;
}

class FuseBf16Scores final : public Rewrite {
 public:
  std::string_view name() const override { return "bf16_scores"; }
  bool apply(Graph& graph, int node, const AcceptFused& accept) const override {
    const GraphNode& own = graph.nodes()[node];
    if (is(own, "softmax_cross_entropy") || is(own, "nll") || is(own, "count_correct"))
      return reading_bf16(graph, {node}, own, accept);
    // A gradient, and the cast of it.
    const auto* cast = attributes_of<CastAttributes>(own);
    if (!cast || cast->to != DType::bf16 || !read_once(graph, own.inputs[0])) return false;
    const int inner = producer(graph, own.inputs[0]);
    if (inner < 0) return false;
    GraphNode gradient = graph.nodes()[inner];
    if (!is(gradient, "softmax_cross_entropy_backward") && !is(gradient, "nll_backward")) return false;
    gradient.outputs = own.outputs;
    return reading_bf16(graph, {inner, node}, std::move(gradient), accept);
  }

 private:
  static bool reading_bf16(Graph& graph, const std::vector<int>& swallowed, GraphNode fused,
                           const AcceptFused& accept) {
    const int narrow = bf16_of(graph, fused.inputs[0]);
    if (narrow < 0) return false;
    fused.inputs[0] = narrow;
    return replace(graph, swallowed, std::move(fused), accept);
  }
};

const RegisterRewrite<FuseBf16Scores> registered;

}  // namespace
}  // namespace trainctl
