#include "nn/functional.h"
#include "nn/optimizer.h"
#include "ops/optimizer.h"

namespace trainctl {
namespace {

/// Steps in proportion to the steps before (Zeiler, 2012), as PyTorch defines it:
///   g += weight_decay p;  square = rho square + (1 - rho) g^2;  d = sqrt(delta + eps) / sqrt(square + eps) g;
///   delta = rho delta + (1 - rho) d^2;  p -= lr d
/// Slots: square_avg (square), acc_delta (delta).
struct Adadelta final : Optimizer {
  Adadelta() { lr = 1.0; }
  double rho = 0.9;
  double eps = 1e-6;

  static Schema<Adadelta> schema() {
    return Schema<Adadelta>("Steps in proportion to the steps before; weight_decay is an L2 penalty.")
        .field("rho", &Adadelta::rho, at_least(0.0), below(1.0), "How much of the mean squares is kept in each step.")
        .field("eps", &Adadelta::eps, above(0.0), "Added to the mean squares; the first steps depend on it.")
        .example("{type: adadelta, lr: 1.0, rho: 0.9}");
  }
  void build(Builder& b, const OptimizerGroup& group) const override {
    const std::vector<int> states{group.parameters, slot(b, group, "square_avg"), slot(b, group, "acc_delta")};
    AdadeltaAttributes attributes;
    attributes.rho = rho;
    attributes.eps = eps;
    Graph& graph = b.graph();
    update(b, states,
           b.apply("adadelta", nn::attributes(attributes),
                   {graph.state(states[0]), group.gradients, graph.state(states[1]), graph.state(states[2]),
                    learning_rate(b, group), decay(b, group), group.gradient_scale, group.finite}));
  }
};

const Register<Optimizer, Adadelta> registered{"adadelta"};

}  // namespace
}  // namespace trainctl
