#include <doctest/doctest.h>

#include <cmath>

#include "nn/fixture.h"

using namespace trainctl;
using namespace trainctl::test;

namespace {

const std::vector<double> scores{1.0, 2.0, 0.5, -1.0, 0.0, 3.0};  // (2, 3)

/// A loss or metric over given outputs and targets.
struct Judged {
  Bench bench;
  Value output, target;

  Judged(const Shape& output_shape, const std::vector<double>& outputs, TensorType target_type,
         const std::vector<double>& targets) {
    output = bench.input(output_shape, "output");
    target = bench.graph.input("target", target_type);
    bind("output", output_shape, outputs);
    bind("target", target_type.shape, targets);
  }
  double loss(const std::string& yaml) {
    const auto component = from_yaml<Component<Loss>>(yaml, "loss");
    const Value value = component->build(bench.builder, output, target);
    CHECK(value.type() == TensorType{DType::f32, {}});
    return bench.run().values.at(value.id())[0];
  }
  /// The metric over this batch alone.
  double metric(const std::string& yaml, double samples) {
    const auto component = from_yaml<Component<Metric>>(yaml, "metrics.x");
    const auto terms = component->build(bench.builder, output, target);
    const Interpretation result = bench.run();
    std::vector<double> sums;
    for (const Metric::Term& term : terms) {
      const RefTensor& sum =
          term.value == output ? bench.bindings.inputs.at("output") : result.values.at(term.value.id());
      for (std::int64_t i = 0; i < sum.size(); ++i) sums.push_back(term.factor * sum[i]);
    }
    return component->finish(sums, samples);
  }

 private:
  void bind(const std::string& name, const Shape& shape, const std::vector<double>& data) {
    RefTensor tensor(shape);
    if (!data.empty()) tensor.data = data;
    bench.bindings.inputs[name] = tensor;
  }
};

Judged classes(std::vector<double> targets = {1, 2}) {
  return {{2, 3}, scores, {DType::i64, {2}}, targets};
}
Judged values(const Shape& target_shape = {3, 1}, DType dtype = DType::f32) {
  return {{3, 1}, {0.5, -1.0, 3.0}, {dtype, target_shape}, {1.0, 1.0, 0.0}};
}

double log_softmax(int row, int column) {
  double sum = 0;
  for (int c = 0; c < 3; ++c) sum += std::exp(scores[row * 3 + c]);
  return scores[row * 3 + column] - std::log(sum);
}

}  // namespace

TEST_CASE("cross_entropy is the mean of negative log-probabilities, smoothed and weighted as PyTorch's") {
  const double a = -log_softmax(0, 1), b = -log_softmax(1, 2);
  CHECK(classes().loss("cross_entropy") == doctest::Approx((a + b) / 2));
  CHECK(classes().loss("{type: cross_entropy, class_weights: [1, 2, 4]}") == doctest::Approx((2 * a + 4 * b) / 6));
  double spread = 0;
  for (int row = 0; row < 2; ++row)
    for (int c = 0; c < 3; ++c) spread -= log_softmax(row, c) / 3;
  CHECK(classes().loss("{type: cross_entropy, label_smoothing: 0.1}") ==
        doctest::Approx((0.9 * (a + b) + 0.1 * spread) / 2));
  CHECK(classes().loss("nll") == doctest::Approx(-(scores[1] + scores[5]) / 2));
  CHECK(classes().loss("{type: nll, class_weights: [1, 1, 3]}") == doctest::Approx(-(scores[1] + 3 * scores[5]) / 4));
}

TEST_CASE("pointwise losses take (N) for (N, 1) and integers for numbers") {
  // Differences: -0.5, -2, 3.
  for (const Shape& shape : {Shape{3, 1}, Shape{3}}) {
    CHECK(values(shape).loss("mse") == doctest::Approx((0.25 + 4 + 9) / 3));
    CHECK(values(shape, DType::i64).loss("mae") == doctest::Approx(5.5 / 3));
    CHECK(values(shape, DType::u8).loss("{type: huber, delta: 1}") == doctest::Approx((0.125 + 1.5 + 2.5) / 3));
    const double bce = (std::log1p(std::exp(-0.5)) + std::log1p(std::exp(1.0)) + std::log1p(std::exp(3.0))) / 3;
    CHECK(values(shape).loss("bce_with_logits") == doctest::Approx(bce));
  }
}

TEST_CASE("an update's objective is the mean reduced and scaled, live too") {
  const auto objective = [](const char* yaml, bool accumulates = false, double live = 0.0) {
    Judged judged = values();
    Bench& bench = judged.bench;
    const auto component = from_yaml<Component<Loss>>(yaml, "loss");
    if (live != 0.0) {
      bench.context.live.insert("loss.scale");
      bench.bindings.inputs["loss.scale"] = RefTensor(Shape{}, live);
    }
    if (accumulates) bench.bindings.inputs["batch_weight"] = RefTensor(Shape{}, 0.25);
    const Value mean = component->build(bench.builder, judged.output, judged.target);
    const Value value = component->objective(bench.builder, mean, judged.output, judged.target, 3, accumulates);
    return bench.run().values.at(value.id())[0];
  };
  const double mean = 13.25 / 3;
  CHECK(objective("mse") == doctest::Approx(mean));
  CHECK(objective("{type: mse, scale: 0.5}") == doctest::Approx(mean / 2));
  CHECK(objective("{type: mse, scale: 0.5}", false, 4.0) == doctest::Approx(4 * mean));
  CHECK(objective("{type: mse, reduction: sum}") == doctest::Approx(13.25));
  CHECK(objective("{type: mse, reduction: sum}", true) ==
        doctest::Approx(13.25 / 0.25));  // by batch_weight it is 13.25
  CHECK(objective("{type: mse, reduction: batch_mean}", true) == doctest::Approx(mean));
  CHECK(contains(refusal([&] { objective("{type: mse, reduction: total}"); }), "batch_mean"));
  CHECK(contains(refusal([] {
                   Judged judged = classes();
                   const auto loss = from_yaml<Component<Loss>>(
                       "{type: cross_entropy, class_weights: [1, 2, 3], reduction: sum}", "loss");
                   const Value mean = loss->build(judged.bench.builder, judged.output, judged.target);
                   loss->objective(judged.bench.builder, mean, judged.output, judged.target, 2, false);
                 }),
                 "class_weights need reduction mean"));
}

TEST_CASE("targets that do not fit are refused with advice") {
  const auto refused = [](Judged judged, const char* loss) { return refusal([&] { judged.loss(loss); }); };
  CHECK(contains(refused({{2, 3}, {}, {DType::f32, {2}}, {}}, "cross_entropy"), "needs class numbers"));
  CHECK(contains(refused({{2, 3}, {}, {DType::i64, {2, 1}}, {}}, "cross_entropy"), "needs targets (2), got (2, 1)"));
  CHECK(contains(refused({{2, 3, 4, 4}, {}, {DType::i64, {2}}, {}}, "cross_entropy"), "flatten or global_avg_pool"));
  CHECK(contains(refused({{2}, {}, {DType::i64, {2}}, {}}, "cross_entropy"), "as many features as there are classes"));
  CHECK(contains(refused({{2, 10}, {}, {DType::f32, {2}}, {}}, "mse"), "got (2, 10) and (2)"));
  CHECK(contains(refused({{2, 3}, {}, {DType::f32, {2}}, {}}, "focal"), "needs class numbers"));
  CHECK(contains(refused({{2, 10}, {}, {DType::f32, {2}}, {}}, "kl_div"),
                 "kl_div needs outputs and targets of one shape"));
  CHECK(contains(refused({{2, 10}, {}, {DType::f32, {2}}, {}}, "cosine"), "got (2, 10) and (2)"));
  CHECK(contains(refused({{2, 3, 4}, {}, {DType::i64, {2}}, {}}, "dice"), "dice of outputs"));
  CHECK(contains(refused({{2}, {}, {DType::f32, {2}}, {}}, "tversky"), "needs outputs (N, C, ...)"));
  CHECK(contains(refusal([] { classes().loss("{type: cross_entropy, class_weights: [1, 2]}"); }),
                 "2 class_weights and 3 classes"));
  CHECK(contains(refusal([] { classes().loss("{type: cross_entropy, label_smoothing: 1.5}"); }), "at most 1"));
}

TEST_CASE("metrics are sums over samples") {
  CHECK(classes({1, 0}).metric("accuracy", 2) == doctest::Approx(0.5));
  CHECK(classes({1, 1}).metric("{type: top_k_accuracy, k: 2}", 2) == doctest::Approx(1.0));
  CHECK(classes({2, 1}).metric("{type: top_k_accuracy, k: 2}", 2) == doctest::Approx(0.5));
  CHECK(contains(refusal([] { classes().metric("top_k_accuracy", 2); }), "best 5 classes, and the model gives 3"));
  CHECK(values().metric("mean_absolute_error", 3) == doctest::Approx(5.5 / 3));
  CHECK(values({3}, DType::i64).metric("mean_squared_error", 3) == doctest::Approx(13.25 / 3));
  // Three values a sample count by their mean.
  Judged wide({2, 3}, scores, {DType::f32, {2, 3}}, {0, 0, 0, 0, 0, 0});
  CHECK(wide.metric("mean_absolute_error", 2) == doctest::Approx(7.5 / 6));
}

TEST_CASE("a loss says how its outputs are read") {
  const auto link = [](const char* yaml, bool classes) {
    return from_yaml<Component<Loss>>(yaml, "loss")->link(classes);
  };
  for (const char* softmax : {"cross_entropy", "focal", "dice", "{type: tversky}"})
    CHECK(link(softmax, true) == Link::softmax);
  CHECK(link("nll", true) == Link::log_softmax);
  for (const char* sigmoid : {"bce_with_logits", "focal_with_logits", "dice"})
    CHECK(link(sigmoid, false) == Link::sigmoid);
  for (const char* values : {"mse", "mae", "huber", "cosine", "kl_div"}) CHECK(link(values, false) == Link::none);
}
