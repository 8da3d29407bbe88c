// Weights of classes, as cross_entropy, nll and focal take them.
#pragma once

#include <optional>
#include <span>
#include <variant>
#include <vector>

#include "nn/loss.h"

namespace trainctl {

/// Weights from the number n_c of training samples that each of k classes has, scaled so that the training samples'
/// weights have the mean 1.
enum class ClassWeighting : std::uint8_t {
  balanced,          ///< n / (k n_c): every class weighs as much as another
  inverse_sqrt,      ///< in proportion to 1 / sqrt(n_c)
  effective_number,  ///< in proportion to (1 - beta) / (1 - beta^n_c) (Cui et al., 2019)
};
template <>
struct EnumNames<ClassWeighting> {
  static constexpr EnumName<ClassWeighting> names[] = {{ClassWeighting::balanced, "balanced"},
                                                       {ClassWeighting::inverse_sqrt, "inverse_sqrt"},
                                                       {ClassWeighting::effective_number, "effective_number"}};
};

/// Base of losses with a weight for each class.
struct ClassWeightedLoss : Loss {
  std::optional<std::variant<std::vector<double>, ClassWeighting>> class_weights;
  double beta = 0.999;

  bool takes_classes() const override { return true; }
  bool counts_classes() const override;
  void take_class_counts(std::span<const std::int64_t> counts) override;
  std::span<const double> weights_by_class() const override { return weights(); }

  template <typename T>
  static void common(Schema<T>& schema);

 protected:
  /// The weights as a vector (C), C = axis 1 of the scores; null without weights. A config Error if there are not C.
  Value weights_of(Builder& builder, Value scores) const;
  /// The sum of w[t] over the targets; null without weights.
  Value weight_of_targets(Builder& builder, Value target) const;
  /// How many class numbers the loss is the mean over. A config Error with weights, whose sum differs from batch to
  /// batch.
  std::int64_t unweighted_terms(const Value& target) const;

 private:
  std::span<const double> weights() const;
  std::vector<double> counted_;
};

template <typename T>
void ClassWeightedLoss::common(Schema<T>& schema) {
  schema
      .field("class_weights", &ClassWeightedLoss::class_weights, at_least(0.0), non_empty(),
             "A weight for each class, or a rule that makes them from the classes' numbers of training samples; a mean "
             "is weighted by them. By default 1.")
      .field("beta", &ClassWeightedLoss::beta, at_least(0.0), below(1.0),
             "Of class_weights: effective_number; near 1 the weights go as 1 / samples, at 0 they are equal.");
  Loss::common(schema);
}

}  // namespace trainctl
