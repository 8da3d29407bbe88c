#include "nn/functional.h"
#include "nn/metric.h"
#include "nn/target.h"
#include "ops/metric.h"

namespace trainctl {
namespace {

/// The share of targets among the k classes with the greatest scores. Class a goes before b if its score is greater, or
/// equal and a < b.
/// Shapes: scores (N, C, ...), targets (N, ...); a sample of several targets counts by their mean.
std::vector<Metric::Term> share_correct(Builder& b, std::string_view who, Value output, Value target, std::int64_t k) {
  expect_classes(who, output, target);
  if (k > output.dim(1))
    fail(ErrorKind::config, "{} counts the best {} classes, and the model gives {}", who, k, output.dim(1));
  const Value correct = b.apply1("count_correct", nn::attributes(CountCorrectAttributes(k)), {output, target});
  return {{correct, static_cast<double>(target.dim(0)) / static_cast<double>(target.shape().elements())}};
}

struct Accuracy final : Metric {
  static Schema<Accuracy> schema() {
    return Schema<Accuracy>("Share of samples whose class has the greatest score.").example("accuracy");
  }
  std::vector<Term> build(Builder& b, Value output, Value target) const override {
    return share_correct(b, "accuracy", output, target, 1);
  }
};

struct TopKAccuracy final : Metric {
  std::int64_t k = 5;
  static Schema<TopKAccuracy> schema() {
    return Schema<TopKAccuracy>("Share of samples whose class is among the k with the greatest scores.")
        .field("k", &TopKAccuracy::k, at_least(1), "How many classes count.")
        .example("{type: top_k_accuracy, k: 3}");
  }
  std::vector<Term> build(Builder& b, Value output, Value target) const override {
    return share_correct(b, "top_k_accuracy", output, target, k);
  }
};

const Register<Metric, Accuracy> accuracy{"accuracy"};
const Register<Metric, TopKAccuracy> top_k_accuracy{"top_k_accuracy"};

}  // namespace
}  // namespace trainctl
