#include "nn/losses/pointwise.h"

namespace trainctl {
namespace {

/// loss = mean of max(x, 0) - x t + log(1 + e^-|x|), x = output, t = target in [0, 1], over all elements. Integer
/// targets are converted; (N) and (N, 1) are taken for each other.
struct BceWithLogits final : Loss {
  static Schema<BceWithLogits> schema() {
    return Schema<BceWithLogits>("Binary cross-entropy of logits and targets between 0 and 1.")
        .example("bce_with_logits");
  }
  Link link(bool) const override { return Link::sigmoid; }
  Value build(Builder& b, Value output, Value target) const override {
    return pointwise_loss(b, "bce_with_logits", output, target, PointwiseLossAttributes::Kind::bce_with_logits);
  }
};

const Register<Loss, BceWithLogits> registered{"bce_with_logits"};

}  // namespace
}  // namespace trainctl
