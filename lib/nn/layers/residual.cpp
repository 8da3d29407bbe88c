#include "nn/wiring.h"

namespace trainctl {
namespace {

/// A shortcut around layers (He et al., 2016).
///   y = activation(layers(x) + shortcut(x))
/// Shapes: layers(x) and shortcut(x) are alike. Parameters are named "body.0.weight", "shortcut.0.weight".
struct Residual final : Layer {
  std::vector<Component<Layer>> layers;
  std::vector<Component<Layer>> shortcut;
  std::optional<Component<Layer>> activation;

  static Schema<Residual> schema() {
    return Schema<Residual>("Add a shortcut around layers.")
        .required("layers", &Residual::layers, non_empty(), "The layers that the shortcut goes around, in order.")
        .field("shortcut", &Residual::shortcut, "Layers of the shortcut, in order; none is the identity.")
        .field("activation", &Residual::activation, "What follows the sum; by default nothing.")
        .example(
            "{type: residual, layers: [{type: conv2d, out_channels: 16, kernel_size: 3, padding: same}, batch_norm], "
            "activation: relu}");
  }
  Values build(Builder& b, const Values& in) const override {
    static const Component<Layer> add{"add"};
    Wiring wiring;
    const std::string body = wiring.add_chain("body.", layers);
    wiring.add("sum", add, {body, wiring.add_chain("shortcut.", shortcut)});
    if (activation) {
      refuse_inputs(*activation);
      wiring.add("activation", *activation, {"sum"});
    }
    return wiring.build(b, in);
  }
};

const Register<Layer, Residual> registered{"residual"};

}  // namespace
}  // namespace trainctl
