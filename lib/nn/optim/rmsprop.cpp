#include "nn/functional.h"
#include "nn/optimizer.h"
#include "ops/optimizer.h"

namespace trainctl {
namespace {

/// Steps divided by the root of the gradients' mean square (Hinton's lecture 6e, 2012; centered: Graves, 2013), as
/// PyTorch defines it:
///   g += weight_decay p;  square = alpha square + (1 - alpha) g^2
///   centered: mean = alpha mean + (1 - alpha) g, s = square - mean^2, else s = square
///   d = g / (sqrt(s) + eps);  with momentum: buffer = momentum buffer + d, d = buffer;  p -= lr d
/// Slots: square_avg; grad_avg only if centered; momentum_buffer only with momentum.
struct RmsProp final : Optimizer {
  RmsProp() { lr = 0.01; }
  double alpha = 0.99;
  double eps = 1e-8;
  Live momentum{0.0};
  bool centered = false;

  static Schema<RmsProp> schema() {
    return Schema<RmsProp>("Steps divided by the root of the gradients' mean square; weight_decay is an L2 penalty.")
        .field("alpha", &RmsProp::alpha, at_least(0.0), below(1.0), "How much of the mean square is kept in each step.")
        .field("eps", &RmsProp::eps, above(0.0), "Added to the root.")
        .field("momentum", &RmsProp::momentum, at_least(0.0), below(1.0), "Share of the last step that is kept.")
        .field("centered", &RmsProp::centered, "Whether to divide by the deviation from the mean gradient instead.")
        .example("{type: rmsprop, lr: 0.01, alpha: 0.99}");
  }
  void build(Builder& b, const OptimizerGroup& group) const override {
    std::vector<int> states{group.parameters};
    const auto next = [&](const char* name) {
      states.push_back(slot(b, group, name));
      return b.graph().state(states.back());
    };
    const bool has_buffer = momentum.value != 0.0 || b.context().live.contains(momentum.path);
    const Value square = next("square_avg");
    const Value mean = centered ? next("grad_avg") : Value();
    const Value buffer = has_buffer ? next("momentum_buffer") : Value();
    RmsPropAttributes attributes;
    attributes.alpha = alpha;
    attributes.eps = eps;
    update(b, states,
           b.apply("rmsprop", nn::attributes(attributes),
                   {b.graph().state(group.parameters), group.gradients, square, mean, buffer, learning_rate(b, group),
                    decay(b, group), b.number(momentum.value, momentum.path), group.gradient_scale, group.finite}));
  }
};

const Register<Optimizer, RmsProp> registered{"rmsprop"};

}  // namespace
}  // namespace trainctl
