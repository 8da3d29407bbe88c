#include "nn/wiring.h"

namespace trainctl {
namespace {

/// Layers one behind the other, each given what the one before it gives. Without layers it gives what it is given.
/// A layer's parameters are named by its place or `name`: "0.weight", "stem.weight". One repeated n times takes n
/// places, as if written n times; with a name, "name.0" ... "name.n-1".
struct Sequential final : Layer {
  std::vector<Component<Layer>> layers;

  static Schema<Sequential> schema() {
    return Schema<Sequential>("Layers one behind the other.")
        .required("layers", &Sequential::layers, "The layers in order.")
        .example("{type: sequential, layers: [flatten, {type: linear, out_features: 64}, relu]}");
  }
  Values build(Builder& b, const Values& in) const override {
    Wiring wiring;
    wiring.add_chain("", layers);
    return wiring.build(b, in);
  }
};

const Register<Layer, Sequential> registered{"sequential"};

}  // namespace
}  // namespace trainctl
