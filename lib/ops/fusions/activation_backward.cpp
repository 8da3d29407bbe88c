// activation_backward(op(...), saved) -> op times the slope at saved: linear_backward_data, conv2d_backward_data,
// max_pool2d_backward.
#include "ops/fusions/pattern.h"

namespace trainctl {
namespace {

using namespace fusion;

class FuseActivationBackward final : public Rewrite {
 public:
  std::string_view name() const override { return "activation_backward"; }
  int order() const override { return 30; }  // what batch_norm_backward leaves
  bool apply(Graph& graph, int node, const AcceptFused& accept) const override {
    const GraphNode& outer = graph.nodes()[node];
    if (!is(outer, "activation_backward")) return false;
    const int inner = producer(graph, outer.inputs[0]);
    if (inner < 0 || !read_once(graph, outer.inputs[0])) return false;
    GraphNode fused = graph.nodes()[inner];
    if (!is(fused, "linear_backward_data") && !is(fused, "conv2d_backward_data") && !is(fused, "max_pool2d_backward"))
      return false;
    if (activation_of(fused)) return false;
    fused.attributes = with_activation(fused, attributes_of<ActivationAttributes>(outer)->activation);
    set_input(fused, 2, outer.inputs[1]);
    fused.outputs[0] = outer.outputs[0];
    return replace(graph, {inner, node}, std::move(fused), accept);
  }
};

const RegisterRewrite<FuseActivationBackward> registered;

}  // namespace
}  // namespace trainctl
