#include "nn/functional.h"
#include "nn/optimizer.h"
#include "ops/optimizer.h"

namespace trainctl {
namespace {

/// Stochastic gradient descent with momentum (Sutskever et al., 2013), as PyTorch defines it:
///   g += weight_decay p;  buffer = momentum buffer + g;  p -= lr (nesterov ? g + momentum buffer : buffer)
/// Slot: momentum_buffer, only with momentum.
struct Sgd final : Optimizer {
  Live momentum{0.0};
  bool nesterov = false;

  static Schema<Sgd> schema() {
    return Schema<Sgd>("Stochastic gradient descent; weight_decay is an L2 penalty.")
        .field("momentum", &Sgd::momentum, at_least(0.0), below(1.0), "Share of the last step that is kept.")
        .field("nesterov", &Sgd::nesterov, "Whether to take Nesterov's momentum, which looks one step ahead.")
        .example("{type: sgd, lr: 0.05, momentum: 0.9, weight_decay: 5e-4}");
  }
  void check(Diagnostics& diagnostics, const Node& node) const {
    if (nesterov && momentum.value == 0.0) diagnostics.error(node, "'nesterov' needs a 'momentum' above 0.");
  }
  void build(Builder& b, const OptimizerGroup& group) const override {
    const bool has_buffer = momentum.value != 0.0 || b.context().live.contains(momentum.path);
    std::vector<int> states{group.parameters};
    if (has_buffer) states.push_back(slot(b, group, "momentum_buffer"));
    SgdAttributes attributes;
    attributes.nesterov = nesterov;
    update(b, states,
           b.apply("sgd", nn::attributes(attributes),
                   {b.graph().state(group.parameters), group.gradients,
                    has_buffer ? b.graph().state(states[1]) : Value(), learning_rate(b, group), decay(b, group),
                    b.number(momentum.value, momentum.path), group.gradient_scale, group.finite}));
  }
};

const Register<Optimizer, Sgd> registered{"sgd"};

}  // namespace
}  // namespace trainctl
