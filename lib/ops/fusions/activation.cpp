// f(op(x)) -> op with activation f: linear, conv2d, batch_norm, batch_norm_inference, add.
#include "ops/fusions/pattern.h"

namespace trainctl {
namespace {

using namespace fusion;

class FuseActivation final : public Rewrite {
 public:
  std::string_view name() const override { return "activation"; }
  bool apply(Graph& graph, int node, const AcceptFused& accept) const override {
    const GraphNode& outer = graph.nodes()[node];
    if (!is(outer, "activation")) return false;
    const int inner = producer(graph, outer.inputs[0]);
    if (inner < 0) return false;
    GraphNode fused = graph.nodes()[inner];
    if (!carries_activation(fused) || activation_of(fused) || fused.outputs[0] != outer.inputs[0]) return false;
    if (!read_once(graph, outer.inputs[0])) return false;

    const Activation f = attributes_of<ActivationAttributes>(outer)->activation;
    const bool normalizes = is(fused, "batch_norm") || is(fused, "batch_norm_inference");
    if (normalizes && f.kind != Activation::Kind::relu) return false;
    fused.attributes = with_activation(fused, f);
    fused.outputs[0] = outer.outputs[0];
    return replace(graph, {inner, node}, std::move(fused), accept);
  }
};

const RegisterRewrite<FuseActivation> registered;

}  // namespace
}  // namespace trainctl
