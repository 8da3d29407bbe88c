#include "nn/functional.h"
#include "nn/optimizer.h"
#include "ops/optimizer.h"

namespace trainctl {
namespace {

/// Steps divided by the root of all squared gradients so far (Duchi, Hazan & Singer, 2011), as PyTorch defines it; t
/// counts the steps from 1:
///   g += weight_decay p;  sum += g^2;  p -= lr / (1 + (t - 1) lr_decay) g / (sqrt(sum) + eps)
/// Slots: sum, and one step (t, i64) for the group.
struct Adagrad final : Optimizer {
  Adagrad() { lr = 0.01; }
  double lr_decay = 0.0;
  double initial_accumulator_value = 0.0;
  double eps = 1e-10;

  static Schema<Adagrad> schema() {
    return Schema<Adagrad>("Steps divided by the root of all squared gradients so far; weight_decay is an L2 penalty.")
        .field("lr_decay", &Adagrad::lr_decay, at_least(0.0), "How fast the learning rate falls with the steps.")
        .field("initial_accumulator_value", &Adagrad::initial_accumulator_value, at_least(0.0),
               "What the sums of squares start from.")
        .field("eps", &Adagrad::eps, above(0.0), "Added to the root.")
        .example("{type: adagrad, lr: 0.01}");
  }
  void build(Builder& b, const OptimizerGroup& group) const override {
    StateSpec& spec = b.graph().state_spec();
    const std::string path = "optimizer/" + group.name + "/";
    const int sum = spec.make_group_like(path + "sum", group.parameters, path + "sum",
                                         Init::constant(initial_accumulator_value), true);
    const int step = spec.declare({path + "step", {DType::i64, {}}, Init::zeros()});
    AdagradAttributes attributes;
    attributes.lr_decay = lr_decay;
    attributes.eps = eps;
    Graph& graph = b.graph();
    update(b, {group.parameters, sum, step},
           b.apply("adagrad", nn::attributes(attributes),
                   {graph.state(group.parameters), group.gradients, graph.state(sum), graph.state(step),
                    learning_rate(b, group), decay(b, group), group.gradient_scale, group.finite}));
  }
};

const Register<Optimizer, Adagrad> registered{"adagrad"};

}  // namespace
}  // namespace trainctl
