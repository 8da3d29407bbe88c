#include "results/ranking.h"

#include <algorithm>
#include <cmath>

namespace trainctl {
namespace {

double ratio(std::int64_t part, std::int64_t whole) {
  return static_cast<double>(part) / static_cast<double>(whole);
}

constexpr std::size_t most_points = 1000;  // of a drawn curve

Curve thinned(Curve curve) {
  const std::size_t size = curve.points.size();
  if (size <= most_points) return curve;
  std::vector<Curve::Point> kept;
  for (std::size_t i = 0; i < most_points; ++i) kept.push_back(curve.points[i * (size - 1) / (most_points - 1)]);
  curve.points = std::move(kept);
  return curve;
}

}  // namespace

Ranking::Ranking(std::vector<Scored> scored) {
  std::ranges::sort(scored, std::ranges::greater{}, &Scored::score);
  for (std::size_t i = 0; i < scored.size(); ++i) {
    (scored[i].positive ? positives_ : negatives_) += 1;
    if (i + 1 < scored.size() && scored[i + 1].score == scored[i].score) continue;
    thresholds_.push_back({scored[i].score, positives_, negatives_});
  }
}

double Ranking::roc_auc() const {
  if (positives_ == 0 || negatives_ == 0) return NAN;
  double doubled = 0.0;
  Threshold before{0.0, 0, 0};
  for (const Threshold& at : thresholds_) {
    doubled += static_cast<double>(at.false_positives - before.false_positives) *
               static_cast<double>(at.true_positives + before.true_positives);
    before = at;
  }
  return doubled / 2.0 / static_cast<double>(positives_) / static_cast<double>(negatives_);
}

double Ranking::average_precision() const {
  if (positives_ == 0) return NAN;
  double sum = 0.0;
  std::int64_t before = 0;
  for (const Threshold& at : thresholds_) {
    sum += ratio(at.true_positives - before, positives_) *
           ratio(at.true_positives, at.true_positives + at.false_positives);
    before = at.true_positives;
  }
  return sum;
}

Ranking::BestF1 Ranking::best_f1() const {
  BestF1 best{NAN, NAN};
  if (positives_ == 0) return best;
  for (const Threshold& at : thresholds_) {
    const double f1 = ratio(2 * at.true_positives, at.true_positives + at.false_positives + positives_);
    if (!(f1 < best.f1)) best = {at.score, f1};
  }
  return best;
}

Curve Ranking::roc(std::string label) const {
  Curve curve{std::move(label), {{0.0, 0.0}}};
  if (positives_ == 0 || negatives_ == 0) return curve;
  for (std::size_t i = 0; i < thresholds_.size(); ++i) {
    const Threshold& at = thresholds_[i];
    if (i > 0 && i + 1 < thresholds_.size()) {  // between two that lie on one line with it
      const Threshold &before = thresholds_[i - 1], &after = thresholds_[i + 1];
      if ((at.true_positives - before.true_positives) * (after.false_positives - at.false_positives) ==
          (after.true_positives - at.true_positives) * (at.false_positives - before.false_positives))
        continue;
    }
    curve.points.push_back({ratio(at.false_positives, negatives_), ratio(at.true_positives, positives_)});
  }
  return thinned(std::move(curve));
}

Curve Ranking::precision_recall(std::string label) const {
  Curve curve{std::move(label), {{0.0, 1.0}}};
  if (positives_ == 0) return curve;
  for (const Threshold& at : thresholds_)
    curve.points.push_back(
        {ratio(at.true_positives, positives_), ratio(at.true_positives, at.true_positives + at.false_positives)});
  return thinned(std::move(curve));
}

}  // namespace trainctl
