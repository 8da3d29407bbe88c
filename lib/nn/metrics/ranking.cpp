#include <cmath>
#include <vector>

#include "nn/metric.h"
#include "nn/metrics/scores.h"
#include "ops/counting.h"

namespace trainctl {
namespace {

/// Samples of a bin of scores: of the class, and others.
struct Bin {
  double others = 0.0, own = 0.0;
};

/// The chance that one of the class is ranked before another: sum over bins, from the lowest,
///   own_b (others below b + others_b / 2) / (own * others).
/// NaN without both.
double roc_auc(std::span<const Bin> bins) {
  double below = 0.0, own = 0.0, area = 0.0;
  for (const Bin& bin : bins) {
    area += bin.own * (below + 0.5 * bin.others);
    below += bin.others;
    own += bin.own;
  }
  return own > 0.0 && below > 0.0 ? area / (own * below) : NAN;
}

/// sum over bins, from the highest, of the rise of recall times the precision down to there; NaN without the class.
double average_precision(std::span<const Bin> bins) {
  double found = 0.0, predicted = 0.0, area = 0.0;
  for (auto bin = bins.rbegin(); bin != bins.rend(); ++bin) {
    found += bin->own;
    predicted += bin->own + bin->others;
    if (bin->own > 0.0) area += bin->own * found / predicted;
  }
  return found > 0.0 ? area / found : NAN;
}

/// A measure of how well scores put a class before the others, from a histogram of its log-odds between -16 and 16:
/// scores of one bin count as equal, so that it differs from the exact one (result package `classification` or
/// `binary`) by at most the share of pairs that meet in a bin. Of two classes the second is ranked, of one score yes,
/// of more each against the rest, and what is defined is averaged. Shapes: scores (N, C, ...), logits or
/// log-probabilities, with class numbers (N, ...); or logits and targets of one shape (N), (N, 1), (N, 1, ...).
template <double measure(std::span<const Bin>)>
struct RankingMeasure : Metric {
  std::int64_t bins = 1000;
  RankingMeasure() { training = false; }

  template <typename T>
  static Schema<T> describe(const char* what, const char* example) {
    return Schema<T>(what)
        .field("bins", &RankingMeasure::bins, between(2, 100000),
               "Into how many equal parts log-odds between -16 and 16 are divided; scores of one bin count as equal.")
        .example(example);
  }

  std::vector<Term> build(Builder& b, Value output, Value target) const override {
    const auto [scores, classes] = scores_and_targets(b, "the metric", output, target);
    return {{b.apply1("score_histogram", nn::attributes(ScoreHistogramAttributes(bins)), {scores, classes})}};
  }

  double finish(std::span<const double> sums, double /*samples*/) const override {
    const auto count = static_cast<std::size_t>(bins), classes = sums.size() / (2 * count);
    const auto of_class = [&](std::size_t c) {
      std::vector<Bin> own(count);
      for (std::size_t i = 0; i < count; ++i) own[i] = {sums[c * count + i], sums[(classes + c) * count + i]};
      return measure(own);
    };
    if (classes <= 2) return of_class(classes - 1);
    double sum = 0.0, defined = 0.0;
    for (std::size_t c = 0; c < classes; ++c) {
      const double value = of_class(c);
      if (std::isnan(value)) continue;
      sum += value;
      defined += 1.0;
    }
    return defined > 0.0 ? sum / defined : NAN;
  }
};

struct RocAuc final : RankingMeasure<roc_auc> {
  static Schema<RocAuc> schema() {
    return describe<RocAuc>(
        "Area under the ROC curve: the chance that a sample of the class has a greater score than another.", "roc_auc");
  }
};
struct AveragePrecision final : RankingMeasure<average_precision> {
  static Schema<AveragePrecision> schema() {
    return describe<AveragePrecision>("Area under the curve of precision over recall, by steps.",
                                      "{type: average_precision, bins: 2000}");
  }
};

const Register<Metric, RocAuc> roc_auc_metric{"roc_auc"};
const Register<Metric, AveragePrecision> average_precision_metric{"average_precision"};

}  // namespace
}  // namespace trainctl
