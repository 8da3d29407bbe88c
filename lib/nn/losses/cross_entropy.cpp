#include "nn/losses/class_weights.h"
#include "nn/target.h"

namespace trainctl {
namespace {

/// Cross-entropy of logits and class numbers; the softmax is part of it. With p = softmax(logits) over axis 1,
/// s = label_smoothing (Szegedy et al., 2016), w = class_weights or ones:
///   loss = sum_i [ -(1 - s) w[t_i] log p_i[t_i] - s/C sum_c w[c] log p_i[c] ] / sum_i w[t_i]
/// Shapes: logits (N, C, ...), targets (N, ...).
struct CrossEntropy final : ClassWeightedLoss {
  Live label_smoothing{0.0};

  static Schema<CrossEntropy> schema() {
    return Schema<CrossEntropy>("Cross-entropy of logits and class numbers; takes logits, not probabilities.")
        .field("label_smoothing", &CrossEntropy::label_smoothing, between(0.0, 1.0),
               "Share of the target that is spread evenly over all classes.")
        .example("{type: cross_entropy, label_smoothing: 0.1}")
        .example("{type: cross_entropy, class_weights: balanced}");
  }
  std::int64_t terms(const Value&, const Value& target) const override { return unweighted_terms(target); }
  Value build(Builder& b, Value output, Value target) const override {
    expect_classes("cross_entropy", output, target);
    return b.apply("softmax_cross_entropy", nullptr,
                   {output, target, b.number(label_smoothing.value, label_smoothing.path), weights_of(b, output)})[0];
  }
  Value weight(Builder& b, Value target) const override { return weight_of_targets(b, target); }
};

const Register<Loss, CrossEntropy> registered{"cross_entropy"};

}  // namespace
}  // namespace trainctl
