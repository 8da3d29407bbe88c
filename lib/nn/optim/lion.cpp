#include "nn/functional.h"
#include "nn/optimizer.h"
#include "ops/optimizer.h"

namespace trainctl {
namespace {

/// Steps of one size, in the direction of the sign of the momentum (Chen et al., 2023):
///   p -= lr (sign(beta1 m + (1 - beta1) g) + weight_decay p);  m = beta2 m + (1 - beta2) g
/// Slot: exp_avg (m). The paper takes a learning rate of a tenth to a third of adamw's, and as many times its
/// weight_decay.
struct Lion final : Optimizer {
  Lion() { lr = 1e-4; }
  std::pair<double, double> betas{0.9, 0.99};

  static Schema<Lion> schema() {
    return Schema<Lion>("Steps by the sign of the momentum; weight_decay acts on the parameters directly.")
        .field("betas", &Lion::betas, at_least(0.0), below(1.0),
               "How much of the momentum is in a step's direction, and how much is kept in each step.")
        .example("{type: lion, lr: 1e-4, weight_decay: 0.1}");
  }
  void build(Builder& b, const OptimizerGroup& group) const override {
    const std::vector<int> states{group.parameters, slot(b, group, "exp_avg")};
    LionAttributes attributes;
    attributes.beta1 = betas.first;
    attributes.beta2 = betas.second;
    Graph& graph = b.graph();
    update(b, states,
           b.apply("lion", nn::attributes(attributes),
                   {graph.state(states[0]), group.gradients, graph.state(states[1]), learning_rate(b, group),
                    decay(b, group), group.gradient_scale, group.finite}));
  }
};

const Register<Optimizer, Lion> registered{"lion"};

}  // namespace
}  // namespace trainctl
