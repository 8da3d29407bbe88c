// gather -> convert, normalize, random_crop, random_flip, cutout in any order and number, and a cast to bf16 at their
// end -> load_images: one pass over the batch.
#include <memory>

#include "ops/elementwise.h"
#include "ops/fusions/pattern.h"
#include "ops/image.h"

namespace trainctl {
namespace {

using namespace fusion;

bool is_random(const GraphNode& node) {
  return is(node, "random_crop") || is(node, "random_flip") || is(node, "cutout");
}
bool is_stage(const GraphNode& node) {
  return is(node, "convert") || is(node, "normalize") || is_random(node);
}

class FuseLoadImages final : public Rewrite {
 public:
  std::string_view name() const override { return "load_images"; }
  bool apply(Graph& graph, int node, const AcceptFused& accept) const override {
    if (!is(graph.nodes()[node], "gather") || graph.info(graph.nodes()[node].inputs[0]).type.shape.rank() != 4)
      return false;
    // The longest chain that is accepted.
    for (std::vector<int> chain = chain_from(graph, node); chain.size() > 1; chain.pop_back()) {
      const TensorType& result = graph.info(graph.nodes()[chain.back()].outputs[0]).type;
      if ((result.dtype == DType::f32 || result.dtype == DType::bf16) &&
          replace(graph, chain, fused_from(graph, chain), accept))
        return true;
    }
    return false;
  }

 private:
  /// The gather and the stages after it, each the only reader of the one before and all random ones of one step, and
  /// the cast after those.
  static std::vector<int> chain_from(const Graph& graph, int gather) {
    std::vector<int> chain{gather};
    int step = -1;
    while (true) {
      const int value = graph.nodes()[chain.back()].outputs[0];
      if (!read_once(graph, value)) return chain;
      const int next = readers(graph, value)[0];
      const GraphNode& stage = graph.nodes()[next];
      if (is(stage, "cast") && graph.info(value).type.dtype == DType::f32) {
        chain.push_back(next);
        return chain;
      }
      if (!is_stage(stage) || stage.inputs[0] != value) return chain;
      if (is_random(stage)) {
        if (step >= 0 && stage.inputs[1] != step) return chain;
        step = stage.inputs[1];
      }
      chain.push_back(next);
    }
  }

  static GraphNode fused_from(const Graph& graph, const std::vector<int>& chain) {
    GraphNode fused = graph.nodes()[chain[0]];
    auto attributes = std::make_shared<LoadImagesAttributes>();
    attributes->batch = attributes_of<GatherAttributes>(fused)->batch;
    set_input(fused, 3, -1);
    for (std::size_t i = 1; i < chain.size(); ++i) {
      const GraphNode& stage = graph.nodes()[chain[i]];
      if (const auto* cast = attributes_of<CastAttributes>(stage)) {
        attributes->dtype = cast->to;
        break;
      }
      attributes->stages.push_back({std::string(stage.op->name()), stage.attributes});
      if (is_random(stage)) fused.inputs[3] = stage.inputs[1];
    }
    fused.op = &OpRegistry::instance().get("load_images");
    fused.attributes = std::move(attributes);
    fused.outputs = graph.nodes()[chain.back()].outputs;
    return fused;
  }
};

const RegisterRewrite<FuseLoadImages> registered;

}  // namespace
}  // namespace trainctl
