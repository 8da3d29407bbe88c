#include "nn/layer.h"

namespace trainctl {
namespace {

/// Gives what it is given; a place that `extends` or `--set` may fill.
struct Identity final : Layer {
  static Schema<Identity> schema() { return Schema<Identity>("Do nothing.").example("identity"); }
  Values build(Builder&, const Values& in) const override { return in; }
};

const Register<Layer, Identity> registered{"identity"};

}  // namespace
}  // namespace trainctl
