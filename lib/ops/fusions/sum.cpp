// f(op(x) + s) -> op with s as its sum and activation f: conv2d, batch_norm, batch_norm_inference.
#include <algorithm>

#include "ops/fusions/pattern.h"

namespace trainctl {
namespace {

using namespace fusion;

class FuseSum final : public Rewrite {
 public:
  std::string_view name() const override { return "sum"; }
  int order() const override { return 10; }  // when the add has its activation
  bool apply(Graph& graph, int node, const AcceptFused& accept) const override {
    if (!is(graph.nodes()[node], "add")) return false;
    // The operand that is computed last: the other one is there already, so nothing has to move.
    int sides[] = {0, 1};
    const auto when = [&](int side) { return producer(graph, graph.nodes()[node].inputs[side]); };
    if (when(1) > when(0)) std::swap(sides[0], sides[1]);
    return std::ranges::any_of(sides, [&](int side) { return absorb(graph, node, side, accept); });
  }

 private:
  static bool absorb(Graph& graph, int node, int side, const AcceptFused& accept) {
    const GraphNode& add = graph.nodes()[node];
    const int inner = producer(graph, add.inputs[side]);
    if (inner < 0) return false;
    GraphNode fused = graph.nodes()[inner];
    const int operand = sum_operand(fused);
    if (operand < 0 || input(fused, operand) >= 0 || activation_of(fused) || fused.outputs[0] != add.inputs[side])
      return false;
    if (!read_once(graph, add.inputs[side])) return false;

    const Activation f = activation_of(add);
    if (f && !is(fused, "conv2d") && f.kind != Activation::Kind::relu) return false;
    fused.attributes = with_activation(fused, f);
    set_input(fused, operand, add.inputs[1 - side]);
    fused.outputs[0] = add.outputs[0];
    return replace(graph, {inner, node}, std::move(fused), accept);
  }
};

const RegisterRewrite<FuseSum> registered;

}  // namespace
}  // namespace trainctl
