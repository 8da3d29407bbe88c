#include <cmath>

#include "nn/metric.h"
#include "nn/metrics/scores.h"
#include "ops/counting.h"

namespace trainctl {
namespace {

/// How measures of classes become one. automatic: of two classes the second's; of more, macro. macro: their mean.
/// weighted: their mean by numbers of targets. micro: of all counts together.
enum class ClassAverage : std::uint8_t { automatic, macro, weighted, micro };

}  // namespace

template <>
struct EnumNames<ClassAverage> {
  static constexpr EnumName<ClassAverage> names[] = {{ClassAverage::automatic, "auto"},
                                                     {ClassAverage::macro, "macro"},
                                                     {ClassAverage::weighted, "weighted"},
                                                     {ClassAverage::micro, "micro"}};
};

namespace {

/// Of a class: targets that were predicted right, predictions, targets.
struct Counts {
  double right = 0.0, predicted = 0.0, targets = 0.0;
};

// Each is 0 where it would be 0 / 0, as in scikit-learn.
double ratio(double part, double whole) {
  return whole > 0.0 ? part / whole : 0.0;
}
double precision(const Counts& n) {
  return ratio(n.right, n.predicted);
}
double recall(const Counts& n) {
  return ratio(n.right, n.targets);
}
double f1(const Counts& n) {
  return ratio(2.0 * n.right, n.predicted + n.targets);
}
double iou(const Counts& n) {
  return ratio(n.right, n.predicted + n.targets - n.right);
}

/// A measure of how well each class is found among N samples, or pixels. The predicted class has the greatest score; of
/// one score, a logit, yes is predicted where its probability is above `threshold`. Classes that are neither there nor
/// predicted are left out of averages; NaN where that leaves none.
/// Shapes: scores (N, C, ...), class numbers (N, ...); or logits and targets of one shape (N), (N, 1), (N, 1, ...).
template <double measure(const Counts&)>
struct ClassMeasure : Metric {
  ClassAverage average = ClassAverage::automatic;
  std::optional<std::int64_t> of;
  double threshold = 0.5;

  template <typename T>
  static Schema<T> describe(const char* what, const char* example) {
    return Schema<T>(what)
        .field("average", &ClassMeasure::average,
               "How classes become one number. auto: of two classes the second's, of more macro; macro: the mean of "
               "those that occur; weighted: their mean by numbers of targets; micro: of all counts together.")
        .field("class", &ClassMeasure::of, at_least(0), "Of this class alone, by its number.")
        .field("threshold", &ClassMeasure::threshold, above(0.0), below(1.0),
               "Of a model with one score: the probability above which it says yes.")
        .example(example);
  }

  std::vector<Term> build(Builder& b, Value output, Value target) const override {
    const auto [scores, classes] = scores_and_targets(b, "the metric", output, target);
    const std::int64_t count = std::max<std::int64_t>(scores.dim(1), 2);
    if (of && *of >= count)
      fail(ErrorKind::config, "there is no class {}: the model tells {} apart, counted from 0", *of, count);
    const double logit = std::log(threshold / (1.0 - threshold));
    return {{b.apply1("class_counts", nn::attributes(ClassCountsAttributes(logit)), {scores, classes})}};
  }

  double finish(std::span<const double> sums, double /*samples*/) const override {
    const std::size_t classes = sums.size() / 3;
    const auto counts = [&](std::size_t c) { return Counts{sums[c], sums[classes + c], sums[2 * classes + c]}; };
    if (of) return measure(counts(static_cast<std::size_t>(*of)));
    if (average == ClassAverage::automatic && classes == 2) return measure(counts(1));
    Counts all;
    double sum = 0.0, weight = 0.0;
    for (std::size_t c = 0; c < classes; ++c) {
      const Counts own = counts(c);
      all = {all.right + own.right, all.predicted + own.predicted, all.targets + own.targets};
      if (own.predicted + own.targets == 0.0) continue;
      const double share = average == ClassAverage::weighted ? own.targets : 1.0;
      sum += share * measure(own);
      weight += share;
    }
    if (average == ClassAverage::micro) return measure(all);
    return weight > 0.0 ? sum / weight : NAN;
  }
};

struct Precision final : ClassMeasure<precision> {
  static Schema<Precision> schema() {
    return describe<Precision>("Share of a class's predictions that are right: TP / (TP + FP).",
                               "{type: precision, class: 1}");
  }
};
struct Recall final : ClassMeasure<recall> {
  static Schema<Recall> schema() {
    return describe<Recall>("Share of a class's targets that are found: TP / (TP + FN); macro, the balanced accuracy.",
                            "{type: recall, average: macro}");
  }
};
struct F1 final : ClassMeasure<f1> {
  static Schema<F1> schema() {
    return describe<F1>("Harmonic mean of precision and recall: 2 TP / (2 TP + FP + FN).",
                        "{type: f1, average: weighted}");
  }
};
struct Dice final : ClassMeasure<f1> {
  static Schema<Dice> schema() {
    return describe<Dice>(
        "Overlap of regions in proportion to their sizes, F1 by its name in segmentation: 2 TP / (2 TP + FP + FN), "
        "over the pixels of all samples.",
        "{type: dice, class: 2}");
  }
};
struct Iou final : ClassMeasure<iou> {
  static Schema<Iou> schema() {
    return describe<Iou>(
        "Intersection of regions over their union (Jaccard index): TP / (TP + FP + FN), over the pixels of all "
        "samples.",
        "{type: iou, average: macro}");
  }
};

const Register<Metric, Precision> precision_metric{"precision"};
const Register<Metric, Recall> recall_metric{"recall"};
const Register<Metric, F1> f1_metric{"f1"};
const Register<Metric, Dice> dice_metric{"dice"};
const Register<Metric, Iou> iou_metric{"iou"};

}  // namespace
}  // namespace trainctl
