#include "nn/functional.h"
#include "nn/loss.h"
#include "nn/metric.h"
#include "nn/target.h"
#include "ops/softmax.h"
#include "ops/support.h"

namespace {

using namespace trainctl;

/// sum_i sum_c p log p with p = softmax(z_i): minus the entropies of all predictions, in nats. z is (N, C).
Value negative_entropy(Builder& b, Value z) {
  const AttributesPtr classes = nn::attributes(SoftmaxAttributes(1));
  return dot(b, b.apply1("softmax", classes, {z}), b.apply1("log_softmax", classes, {z}));
}

/// Cross-entropy that favours predictions which are not too sure (Pereyra et al., 2017):
///   loss = mean_i [ -log p_i[t_i] - beta H(p_i) ],   H(p) = -sum_c p log p
struct ConfidencePenalty final : Loss {
  double beta = 0.1;

  static Schema<ConfidencePenalty> schema() {
    return Schema<ConfidencePenalty>("Cross-entropy less a share of the predictions' entropy; takes logits.")
        .field("beta", &ConfidencePenalty::beta, at_least(0.0), "Weight of the entropy.")
        .example("{type: confidence_penalty, beta: 0.2}");
  }
  bool takes_classes() const override { return true; }
  Value build(Builder& b, Value output, Value target) const override {
    expect_classes("confidence_penalty", output, target);
    const Value smoothing = b.graph().constant(0.0);
    const Value likelihood = b.apply("softmax_cross_entropy", nullptr, {output, target, smoothing, {}})[0];
    const Value share = b.graph().constant(beta / static_cast<double>(output.dim(0)));
    const Value penalty = b.apply1("scale", nullptr, {negative_entropy(b, output), share});
    return b.apply1("add", nullptr, {likelihood, penalty});
  }
};

/// The mean entropy of predictions, in nats: 0 where all are sure, log C where all classes are alike.
struct Entropy final : Metric {
  static Schema<Entropy> schema() {
    return Schema<Entropy>("Mean entropy of the predictions, in nats.").example("entropy");
  }
  std::vector<Term> build(Builder& b, Value output, Value /*target*/) const override {
    return {{negative_entropy(b, output), -1.0}};
  }
};

const Register<Loss, ConfidencePenalty> loss{"confidence_penalty"};
const Register<Metric, Entropy> metric{"entropy"};

}  // namespace
