#include "nn/losses/class_weights.h"
#include "nn/target.h"

namespace trainctl {
namespace {

/// Negative log-likelihood of log-probabilities, as log_softmax gives them, and class numbers; w = class_weights or
/// ones.
///   loss = -sum_i w[t_i] log_p_i[t_i] / sum_i w[t_i]
/// Shapes: log_p (N, C, ...), targets (N, ...).
struct Nll final : ClassWeightedLoss {
  static Schema<Nll> schema() {
    return Schema<Nll>("Negative log-likelihood of log-probabilities and class numbers.").example("nll");
  }
  Link link(bool) const override { return Link::log_softmax; }
  std::int64_t terms(const Value&, const Value& target) const override { return unweighted_terms(target); }
  Value build(Builder& b, Value output, Value target) const override {
    expect_classes("nll", output, target);
    return b.apply("nll", nullptr, {output, target, weights_of(b, output)})[0];
  }
  Value weight(Builder& b, Value target) const override { return weight_of_targets(b, target); }
};

const Register<Loss, Nll> registered{"nll"};

}  // namespace
}  // namespace trainctl
