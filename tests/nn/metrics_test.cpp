// Measures of classes and rankings from counts, against values by hand and by scikit-learn's definitions.
#include <doctest/doctest.h>

#include <cmath>

#include "nn/fixture.h"

namespace trainctl::test {
namespace {

double finish(const std::string& yaml, const std::vector<double>& sums) {
  return from_yaml<Component<Metric>>(yaml, "metrics.x")->finish(sums, 1.0);
}

/// What building a metric of outputs and targets of these types is refused with.
std::string built(const std::string& yaml, const Shape& output, const TensorType& target) {
  Bench bench;
  const Value scores = bench.input(output, "output");
  const Value targets = bench.graph.input("target", target);
  return refusal([&] { from_yaml<Component<Metric>>(yaml, "metrics.x")->build(bench.builder, scores, targets); });
}

// Targets a a a b b c, predictions a a b b c c, and a class d that does not occur.
const std::vector<double> counts{2, 1, 1, 0, /* predicted */ 2, 2, 2, 0, /* targets */ 3, 2, 1, 0};

}  // namespace

TEST_CASE("measures of classes") {
  const double p[] = {1.0, 0.5, 0.5}, r[] = {2.0 / 3, 0.5, 1.0}, f[] = {0.8, 0.5, 2.0 / 3},
               j[] = {2.0 / 3, 1.0 / 3, 0.5};
  CHECK(finish("precision", counts) == doctest::Approx((p[0] + p[1] + p[2]) / 3));
  CHECK(finish("recall", counts) == doctest::Approx((r[0] + r[1] + r[2]) / 3));
  CHECK(finish("f1", counts) == doctest::Approx((f[0] + f[1] + f[2]) / 3));
  CHECK(finish("dice", counts) == finish("f1", counts));
  CHECK(finish("iou", counts) == doctest::Approx((j[0] + j[1] + j[2]) / 3));
  CHECK(finish("{type: f1, average: weighted}", counts) == doctest::Approx((3 * f[0] + 2 * f[1] + f[2]) / 6));
  CHECK(finish("{type: f1, average: micro}", counts) == doctest::Approx(4.0 / 6));
  CHECK(finish("{type: iou, average: micro}", counts) == doctest::Approx(4.0 / 8));
  CHECK(finish("{type: precision, class: 2}", counts) == doctest::Approx(0.5));
  CHECK(finish("{type: precision, class: 3}", counts) == 0.0);
  CHECK(finish("recall", {1, 3, 2, 4, 4, 6}) == doctest::Approx(0.5));  // of two classes the second's
  CHECK(finish("{type: recall, average: macro}", {1, 3, 2, 4, 4, 6}) == doctest::Approx(0.375));
  CHECK(std::isnan(finish("f1", std::vector<double>(12))));
}

TEST_CASE("measures of rankings") {
  // Scores 1 | 2 2 | 3 | 4 4, of which the one at 2, the one at 3 and one at 4 are of the class.
  const std::string bins = "bins: 4}";
  const std::vector<double> binary{1, 1, 0, 1, /* own */ 0, 1, 1, 1};
  CHECK(finish("{type: roc_auc, " + bins, binary) == doctest::Approx((1.5 + 2.0 + 2.5) / 9));
  CHECK(finish("{type: average_precision, " + bins, binary) == doctest::Approx((0.5 + 2.0 / 3 + 3.0 / 5) / 3));
  CHECK(std::isnan(finish("{type: roc_auc, " + bins, {1, 1, 0, 1, 0, 0, 0, 0})));
  CHECK(std::isnan(finish("{type: average_precision, " + bins, {1, 1, 0, 1, 0, 0, 0, 0})));
  // Of three classes the mean of those that are defined: 1, 0, and none.
  const std::vector<double> three{1, 0, 0, 1, 2, 1, /* own */ 0, 1, 1, 0, 0, 0};
  CHECK(finish("{type: roc_auc, bins: 2}", three) == doctest::Approx(0.5));
}

TEST_CASE("what measures of classes refuse") {
  CHECK(built("f1", {8, 4}, {DType::i64, {8}}).empty());
  CHECK(built("f1", {8}, {DType::f32, {8, 1}}).empty());
  CHECK(built("dice", {8, 4, 5, 6}, {DType::i32, {8, 5, 6}}).empty());
  CHECK(contains(built("iou", {8, 4}, {DType::f32, {8, 4}}), "class numbers"));
  CHECK(contains(built("{type: f1, class: 4}", {8, 4}, {DType::i64, {8}}), "there is no class 4"));
  CHECK(contains(built("roc_auc", {8, 1}, {DType::f32, {8, 3}}), "one shape"));
}

}  // namespace trainctl::test
