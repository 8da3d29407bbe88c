#include "nn/functional.h"
#include "nn/losses/class_weights.h"
#include "nn/losses/pointwise.h"
#include "ops/elementwise.h"
#include "ops/softmax.h"

namespace trainctl {
namespace {

/// Cross-entropy of logits and class numbers in which what is right already counts less (Lin et al., 2017). With p =
/// softmax(logits) over axis 1, w = class_weights (the paper's alpha) or ones, M class numbers t:
///   loss = -1/M sum_i w[t_i] (1 - p_i[t_i])^gamma log p_i[t_i]
/// Shapes: logits (N, C, ...), targets (N, ...).
struct Focal final : ClassWeightedLoss {
  double gamma = 2.0;

  static Schema<Focal> schema() {
    return Schema<Focal>(
               "Cross-entropy that looks away from what is right already; takes logits and class numbers. It is "
               "divided "
               "by the number of targets, whatever class_weights (the paper's alpha) are.")
        .field("gamma", &Focal::gamma, at_least(0.0), "How much less; 0 is the cross-entropy.")
        .example("{type: focal, gamma: 2}");
  }
  Value build(Builder& b, Value output, Value target) const override {
    expect_classes("focal", output, target);
    const TensorType classes{DType::f32, {output.dim(1)}};
    const auto constant = [&](double value) { return b.graph().constant(classes, {value}); };
    const AttributesPtr axis = nn::attributes(SoftmaxAttributes(1));
    Value scores = b.apply1("log_softmax", axis, {output});
    if (gamma != 0.0) {
      const Value p = b.apply1("softmax", axis, {output});
      const Value miss = b.apply1("channel_affine", nullptr, {p, constant(-1.0), constant(1.0)});
      scores =
          b.apply1("multiply", nullptr, {b.apply1("power", nn::attributes(PowerAttributes(gamma)), {miss}), scores});
    }
    if (const Value weights = weights_of(b, output))
      scores = b.apply1("channel_affine", nullptr, {scores, weights, constant(0.0)});
    return b.apply1("nll", nullptr, {scores, target, {}});
  }
};

/// The same for yes or no, one logit each: x = output, t = target in [0, 1], s = sigmoid(x).
///   loss = mean of a (1 - q)^gamma (max(x, 0) - x t + log(1 + e^-|x|)),  q = s t + (1 - s)(1 - t),
///   a = alpha t + (1 - alpha)(1 - t), or 1 without alpha
/// Integer targets are converted; (N) and (N, 1) are taken for each other.
struct FocalWithLogits final : Loss {
  double gamma = 2.0;
  std::optional<double> alpha;

  static Schema<FocalWithLogits> schema() {
    return Schema<FocalWithLogits>(
               "Binary cross-entropy of logits that looks away from what is right already, for targets between 0 and "
               "1.")
        .field("gamma", &FocalWithLogits::gamma, at_least(0.0), "How much less; 0 is the cross-entropy.")
        .field("alpha", &FocalWithLogits::alpha, between(0.0, 1.0),
               "Weight of targets that are 1; those that are 0 have the rest. By default both weigh 1.")
        .example("{type: focal_with_logits, gamma: 2, alpha: 0.25}");
  }
  Link link(bool) const override { return Link::sigmoid; }
  Value build(Builder& b, Value output, Value target) const override {
    PointwiseLossAttributes attributes;
    attributes.kind = PointwiseLossAttributes::Kind::focal;
    attributes.gamma = gamma;
    attributes.alpha = alpha.value_or(-1.0);
    return pointwise_loss(b, "focal_with_logits", output, target, attributes);
  }
};

const Register<Loss, Focal> focal{"focal"};
const Register<Loss, FocalWithLogits> focal_with_logits{"focal_with_logits"};

}  // namespace
}  // namespace trainctl
