#include "nn/functional.h"
#include "nn/optimizer.h"
#include "ops/optimizer.h"

namespace trainctl {
namespace {

/// Adam's direction, with steps for each tensor in proportion to its size, for large batches (You et al., 2020); t
/// counts the steps from 1:
///   m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g^2
///   r = m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + eps) + weight_decay p;  p -= lr |p| / |r| r
/// The norms are those of each parameter of the model; where one of them is 0 the ratio is 1. Slots: exp_avg (m),
/// exp_avg_sq (v), and one step (t, i64) for the group.
struct Lamb final : Optimizer {
  Lamb() { weight_decay = 0.01; }
  std::pair<double, double> betas{0.9, 0.999};
  double eps = 1e-6;

  static Schema<Lamb> schema() {
    return Schema<Lamb>("Adaptive moments with steps in proportion to each tensor's norm, for large batches.")
        .field("betas", &Lamb::betas, at_least(0.0), below(1.0),
               "How much of the means of gradients and of their squares is kept in each step.")
        .field("eps", &Lamb::eps, above(0.0), "Added to the root of the squares' mean.")
        .example("{type: lamb, lr: 2e-3, weight_decay: 0.01}");
  }
  void build(Builder& b, const OptimizerGroup& group) const override {
    const int step =
        b.graph().state_spec().declare({"optimizer/" + group.name + "/step", {DType::i64, {}}, Init::zeros()});
    const std::vector<int> states{group.parameters, slot(b, group, "exp_avg"), slot(b, group, "exp_avg_sq"), step};
    LambAttributes attributes;
    attributes.beta1 = betas.first;
    attributes.beta2 = betas.second;
    attributes.eps = eps;
    Graph& graph = b.graph();
    Values results = b.apply("lamb_direction", nn::attributes(attributes),
                             {graph.state(states[0]), group.gradients, graph.state(states[1]), graph.state(states[2]),
                              graph.state(states[3]), decay(b, group), group.gradient_scale, group.finite});
    results[0] =
        b.apply1("trust_step", nullptr,
                 {graph.state(group.parameters), results[0], bounds(b, group.parameters), learning_rate(b, group)});
    update(b, states, results);
  }

 private:
  /// Where the group's tensors begin, and its end. What is between them is zero, and counts as the one before.
  static Value bounds(Builder& b, int parameters) {
    const StateSpec& spec = b.graph().state_spec();
    std::vector<double> bounds;
    for (const int member : spec.members(parameters)) bounds.push_back(static_cast<double>(spec[member].root_offset));
    bounds.push_back(static_cast<double>(spec[parameters].type.elements()));
    const auto count = static_cast<std::int64_t>(bounds.size());
    return b.graph().constant({DType::i64, {count}}, bounds);
  }
};

const Register<Optimizer, Lamb> registered{"lamb"};

}  // namespace
}  // namespace trainctl
