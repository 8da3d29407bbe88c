#include "nn/losses/class_weights.h"
#include "nn/target.h"

namespace trainctl {
namespace {

/// Negative log-likelihood of log-probabilities, as log_softmax gives them, and class numbers; w = class_weights or
/// ones.
///   loss = -sum_i w[t_i] log_p_i[t_i] / sum_i w[t_i]
/// Shapes: log_p (N, C, ...), targets (N, ...).
struct Nll final : Loss {
  std::optional<std::vector<double>> class_weights;

  static Schema<Nll> schema() {
    return Schema<Nll>("Negative log-likelihood of log-probabilities and class numbers.")
        .field("class_weights", &Nll::class_weights, at_least(0.0), non_empty(),
               "A weight for each class; the mean is weighted by them. By default 1.")
        .example("nll");
  }
  bool takes_classes() const override { return true; }
  std::int64_t terms(const Value&, const Value& target) const override {
    return unweighted_terms(class_weights, target);
  }
  Value build(Builder& b, Value output, Value target) const override {
    expect_classes("nll", output, target);
    return b.apply("nll", nullptr, {output, target, class_weights_of(b, class_weights, output)})[0];
  }
};

const Register<Loss, Nll> registered{"nll"};

}  // namespace
}  // namespace trainctl
