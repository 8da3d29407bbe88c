// batch_norm_backward(x, activation_backward(dy, y), ...) -> batch_norm_backward with relu, reading dy and y. Where
// others read the masked gradient too (the other branch of a residual sum), the fused op gives it to them as dsum.
#include <algorithm>
#include <memory>

#include "ops/fusions/pattern.h"
#include "ops/norm.h"

namespace trainctl {
namespace {

using namespace fusion;

class FuseBatchNormBackward final : public Rewrite {
 public:
  std::string_view name() const override { return "batch_norm_backward"; }
  int order() const override { return 20; }  // when the forward nodes have their activations
  bool apply(Graph& graph, int node, const AcceptFused& accept) const override {
    const GraphNode& mask = graph.nodes()[node];
    if (!is(mask, "activation_backward") ||
        attributes_of<ActivationAttributes>(mask)->activation.kind != Activation::Kind::relu)
      return false;
    std::vector<int> candidates = readers(graph, mask.outputs[0]);
    std::erase_if(candidates, [&](int reader) { return !takes(graph.nodes()[reader], mask.outputs[0]); });
    // Best the one whose forward node computed the relu as well: their kernels are a pair.
    std::stable_partition(candidates.begin(), candidates.end(), [&](int reader) {
      const int forward = graph.nodes()[reader].forward;
      return forward >= 0 && activation_of(graph.nodes()[forward]);
    });
    return std::ranges::any_of(candidates, [&](int reader) { return absorb(graph, node, reader, accept); });
  }

 private:
  static bool takes(const GraphNode& reader, int masked) {
    return is(reader, "batch_norm_backward") && reader.inputs[1] == masked &&
           std::ranges::count(reader.inputs, masked) == 1 && !activation_of(reader);
  }

  static bool absorb(Graph& graph, int node, int reader, const AcceptFused& accept) {
    const GraphNode& mask = graph.nodes()[node];
    GraphNode fused = graph.nodes()[reader];
    auto attributes = std::make_shared<BatchNormAttributes>(*attributes_of<BatchNormAttributes>(fused));
    attributes->activation = attributes_of<ActivationAttributes>(mask)->activation;
    attributes->gives_sum = !read_once(graph, mask.outputs[0]);
    fused.inputs[1] = mask.inputs[0];
    set_input(fused, 5, mask.inputs[1]);
    if (attributes->gives_sum) fused.outputs.push_back(mask.outputs[0]);
    fused.attributes = std::move(attributes);
    return replace(graph, {node, reader}, std::move(fused), accept);
  }
};

const RegisterRewrite<FuseBatchNormBackward> registered;

}  // namespace
}  // namespace trainctl
