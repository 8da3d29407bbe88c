#include "nn/losses/class_weights.h"

#include <cmath>
#include <numeric>

#include "base/error.h"
#include "nn/functional.h"
#include "ops/embedding.h"
#include "ops/loss.h"

namespace trainctl {

bool ClassWeightedLoss::counts_classes() const {
  return class_weights && std::holds_alternative<ClassWeighting>(*class_weights);
}

void ClassWeightedLoss::take_class_counts(std::span<const std::int64_t> counts) {
  counted_.clear();
  for (const std::int64_t samples : counts) {
    const auto n = static_cast<double>(samples);
    switch (std::get<ClassWeighting>(*class_weights)) {
      case ClassWeighting::balanced:
        counted_.push_back(1.0 / n);
        break;
      case ClassWeighting::inverse_sqrt:
        counted_.push_back(1.0 / std::sqrt(n));
        break;
      case ClassWeighting::effective_number:
        counted_.push_back((1.0 - beta) / (1.0 - std::pow(beta, n)));
        break;
    }
  }
  const auto all = static_cast<double>(std::accumulate(counts.begin(), counts.end(), std::int64_t{0}));
  double sum = 0.0;
  for (std::size_t c = 0; c < counts.size(); ++c) sum += counted_[c] * static_cast<double>(counts[c]);
  for (double& weight : counted_) weight *= all / sum;
}

std::span<const double> ClassWeightedLoss::weights() const {
  if (!class_weights) return {};
  if (const auto* given = std::get_if<std::vector<double>>(&*class_weights)) return *given;
  require(!counted_.empty(), "the classes were not counted");
  return counted_;
}

Value ClassWeightedLoss::weights_of(Builder& builder, Value scores) const {
  if (!class_weights) return {};
  const std::span<const double> numbers = weights();
  const std::int64_t classes = scores.dim(1);
  if (static_cast<std::int64_t>(numbers.size()) != classes) {
    fail(ErrorKind::config, "there are {} class_weights and {} classes in outputs {}", numbers.size(), classes,
         scores.shape().text());
  }
  return builder.graph().constant({DType::f32, {classes}}, {numbers.begin(), numbers.end()});
}

Value ClassWeightedLoss::weight_of_targets(Builder& builder, Value target) const {
  if (!class_weights) return {};
  const std::span<const double> numbers = weights();
  const Value table = builder.graph().constant({DType::f32, {static_cast<std::int64_t>(numbers.size()), 1}},
                                               {numbers.begin(), numbers.end()});
  const Value each = builder.apply1("embedding", nn::attributes(EmbeddingAttributes()), {target, table});
  PointwiseLossAttributes magnitude;  // weights are not negative
  magnitude.kind = PointwiseLossAttributes::Kind::absolute;
  const Value mean =
      builder.apply1("pointwise_loss", nn::attributes(magnitude), {each, builder.graph().constant(each.type(), {0.0})});
  const auto targets = static_cast<double>(target.shape().elements());
  return builder.apply1("scale", nullptr, {mean, builder.graph().constant(targets)});
}

std::int64_t ClassWeightedLoss::unweighted_terms(const Value& target) const {
  if (class_weights) {
    fail(ErrorKind::config,
         "class_weights need reduction mean: the weights of a batch's classes add up to another number each time");
  }
  return target.shape().elements();
}

}  // namespace trainctl
