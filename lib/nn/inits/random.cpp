#include "nn/init.h"

namespace trainctl {
namespace {

struct NormalInit final : Initializer {
  double mean = 0.0;
  double std = 1.0;
  static Schema<NormalInit> schema() {
    return Schema<NormalInit>("A normal distribution, whatever the layer's size.")
        .field("mean", &NormalInit::mean, "Its mean.")
        .field("std", &NormalInit::std, at_least(0.0), "Its standard deviation.")
        .example("{type: linear, out_features: 10, weight_init: {type: normal, std: 0.02}}");
  }
  Init init(const Fans&) const override { return Init::normal(mean, std); }
};

struct UniformInit final : Initializer {
  double low = 0.0;
  double high = 1.0;
  static Schema<UniformInit> schema() {
    return Schema<UniformInit>("A uniform distribution, whatever the layer's size.")
        .field("low", &UniformInit::low, "Its lower bound.")
        .field("high", &UniformInit::high, "Its upper bound.")
        .example("{type: linear, out_features: 10, weight_init: {type: uniform, low: -0.1, high: 0.1}}");
  }
  void check(Diagnostics& diagnostics, const Node& node) const {
    if (low > high) diagnostics.error(node, "'low' must not be above 'high'.");
  }
  Init init(const Fans&) const override { return Init::uniform(low, high); }
};

const Register<Initializer, NormalInit> normal{"normal"};
const Register<Initializer, UniformInit> uniform{"uniform"};

}  // namespace
}  // namespace trainctl
