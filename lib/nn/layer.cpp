#include "nn/layer.h"

#include <algorithm>

#include "nn/located.h"
#include "nn/wiring.h"

namespace trainctl {

Value only(const Values& inputs, std::string_view layer_type) {
  if (inputs.size() != 1)
    fail(ErrorKind::config, "{} takes one input, got {}; join them with add or concat", layer_type, inputs.size());
  return inputs[0];
}

namespace {

// Trainable state that the nodes from `first` on read, in order of first use.
std::vector<int> parameters_since(const Graph& graph, int first) {
  std::vector<int> found;
  for (std::size_t i = first; i < graph.nodes().size(); ++i) {
    for (const int input : graph.nodes()[i].inputs) {
      if (input < 0 || graph.info(input).kind != ValueInfo::Kind::state) continue;
      const int state = graph.info(input).state;
      if (graph.state_spec()[state].trainable && std::ranges::find(found, state) == found.end()) found.push_back(state);
    }
  }
  return found;
}

}  // namespace

Values build_once(Builder& builder, const Component<Layer>& layer, std::string_view name, const Values& inputs) {
  constexpr int open = -1;
  const Builder::Scope scope(builder, name);
  std::vector<BuiltLayer>& layers = builder.layers();
  const std::size_t row = layers.size();
  const auto depth = std::ranges::count_if(
      layers, [](const BuiltLayer& outer) { return outer.end_node == open && !outer.path.empty(); });
  const int first = static_cast<int>(builder.graph().nodes().size());
  layers.push_back({builder.path(), layer.type(), static_cast<int>(depth), first, open, {}, {}});

  const auto what = [&] {
    return builder.path().empty() ? layer.type() : fmt::format("{} '{}'", layer.type(), builder.path());
  };
  Values outputs = located(layer.source(), what, [&] { return layer->build(builder, inputs); });

  // The model as a whole is no layer of its own, unless it holds none.
  if (builder.path().empty() && layers.size() > row + 1) {
    layers.erase(layers.begin() + static_cast<std::ptrdiff_t>(row));
    return outputs;
  }
  BuiltLayer& built = layers[row];
  built.end_node = static_cast<int>(builder.graph().nodes().size());
  built.outputs = outputs;
  built.parameters = parameters_since(builder.graph(), first);
  return outputs;
}

Values build_child(Builder& builder, const Component<Layer>& layer, std::string_view name, const Values& inputs) {
  require(static_cast<bool>(layer), "a layer to build was never read");
  const bool whole_model = name.empty() && builder.path().empty();
  if (!whole_model || layer.type() != "graph") refuse_inputs(layer);
  Wiring wiring;
  wiring.add(layer->name.value_or(std::string(name)), layer);
  return wiring.build(builder, inputs);
}

}  // namespace trainctl
