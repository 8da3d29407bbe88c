#include "nn/losses/pointwise.h"

namespace trainctl {
namespace {

/// Divergence of target probabilities t from what the model says (Kullback & Leibler, 1951), x = log-probabilities, as
/// log_softmax gives them:
///   loss = mean of t (log t - x) over all elements, 0 where t = 0; with log_target, e^t (t - x)
/// The divergence itself, as defined, is the sum over each sample's elements: `reduction: batch_mean`.
/// Shapes: output and target alike.
struct KlDiv final : Loss {
  bool log_target = false;

  static Schema<KlDiv> schema() {
    return Schema<KlDiv>("Kullback-Leibler divergence of targets that are probabilities; takes log-probabilities.")
        .field("log_target", &KlDiv::log_target, "Whether targets are log-probabilities too.")
        .example("{type: kl_div, reduction: batch_mean}");
  }
  Value build(Builder& b, Value output, Value target) const override {
    PointwiseLossAttributes attributes;
    attributes.kind = log_target ? PointwiseLossAttributes::Kind::kl_div_log : PointwiseLossAttributes::Kind::kl_div;
    return pointwise_loss(b, "kl_div", output, target, attributes);
  }
};

const Register<Loss, KlDiv> registered{"kl_div"};

}  // namespace
}  // namespace trainctl
