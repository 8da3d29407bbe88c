#include "nn/functional.h"
#include "nn/optimizer.h"
#include "ops/optimizer.h"

namespace trainctl {
namespace {

/// Adaptive moments (Kingma & Ba, 2015), as PyTorch defines them; t counts the steps from 1:
///   m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g^2
///   p -= lr / (1 - beta1^t) m / (sqrt(v / (1 - beta2^t)) + eps)
/// Slots: exp_avg (m), exp_avg_sq (v), and one step (t, i64) for the group.
struct AdamFamily : Optimizer {
  std::pair<double, double> betas{0.9, 0.999};
  double eps = 1e-8;

  template <typename T>
  static Schema<T> fields(const char* doc) {
    return Schema<T>(doc)
        .field("betas", &AdamFamily::betas, at_least(0.0), below(1.0),
               "How much of the means of gradients and of their squares is kept in each step.")
        .field("eps", &AdamFamily::eps, above(0.0), "Added to the root of the squares' mean.");
  }

 protected:
  void append(Builder& b, const OptimizerGroup& group, bool decoupled) const {
    const int step =
        b.graph().state_spec().declare({"optimizer/" + group.name + "/step", {DType::i64, {}}, Init::zeros()});
    const std::vector<int> states{group.parameters, slot(b, group, "exp_avg"), slot(b, group, "exp_avg_sq"), step};
    AdamAttributes attributes;
    attributes.beta1 = betas.first;
    attributes.beta2 = betas.second;
    attributes.eps = eps;
    attributes.decoupled = decoupled;
    Graph& graph = b.graph();
    update(b, states,
           b.apply(
               "adam", nn::attributes(attributes),
               {graph.state(states[0]), group.gradients, graph.state(states[1]), graph.state(states[2]),
                graph.state(states[3]), learning_rate(b, group), decay(b, group), group.gradient_scale, group.finite}));
  }
};

/// With the L2 penalty in the gradient: g += weight_decay p.
struct Adam final : AdamFamily {
  static Schema<Adam> schema() {
    return fields<Adam>("Adaptive moments; weight_decay is an L2 penalty in the gradient.")
        .example("{type: adam, lr: 1e-3, betas: [0.9, 0.999]}");
  }
  void build(Builder& b, const OptimizerGroup& group) const override { append(b, group, false); }
};

/// With the decay beside the gradient (Loshchilov & Hutter, 2019): p -= lr weight_decay p.
struct AdamW final : AdamFamily {
  AdamW() { weight_decay = 0.01; }
  static Schema<AdamW> schema() {
    return fields<AdamW>("Adaptive moments; weight_decay acts on the parameters directly.")
        .example("{type: adamw, lr: 3e-4, weight_decay: 0.05}");
  }
  void build(Builder& b, const OptimizerGroup& group) const override { append(b, group, true); }
};

const Register<Optimizer, Adam> adam{"adam"};
const Register<Optimizer, AdamW> adamw{"adamw"};

}  // namespace
}  // namespace trainctl
