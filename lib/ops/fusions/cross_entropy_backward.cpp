// softmax_cross_entropy_backward without lse: it need not wait for the loss, whose value nothing of the gradient reads.
#include "ops/fusions/pattern.h"

namespace trainctl {
namespace {

using namespace fusion;

class FuseCrossEntropyBackward final : public Rewrite {
 public:
  std::string_view name() const override { return "cross_entropy_backward"; }
  bool apply(Graph& graph, int node, const AcceptFused& accept) const override {
    constexpr std::size_t lse = 4;
    GraphNode alone = graph.nodes()[node];
    if (!is(alone, "softmax_cross_entropy_backward") || input(alone, lse) < 0) return false;
    alone.inputs[lse] = -1;
    return replace(graph, {node}, std::move(alone), accept);
  }
};

const RegisterRewrite<FuseCrossEntropyBackward> registered;

}  // namespace
}  // namespace trainctl
