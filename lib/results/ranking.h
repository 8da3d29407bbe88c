// Measures of a ranking: how well scores put positives before negatives. Scores are finite. Equal scores are one
// threshold, as in scikit-learn.
#pragma once

#include <cstdint>
#include <vector>

#include "report/svg_plot.h"

namespace trainctl {

/// A ranking, sorted by falling score, as counts at and above each different score.
class Ranking {
 public:
  struct Scored {
    double score;
    bool positive;
  };
  struct Threshold {
    double score;
    std::int64_t true_positives, false_positives;  ///< with scores >= this one
  };
  explicit Ranking(std::vector<Scored> scored);

  std::int64_t positives() const { return positives_; }
  std::int64_t negatives() const { return negatives_; }
  const std::vector<Threshold>& thresholds() const { return thresholds_; }
  /// Area under the ROC curve by trapezoids; NaN without positives or without negatives.
  double roc_auc() const;
  /// sum_n (R_n - R_{n-1}) P_n over the thresholds; NaN without positives.
  double average_precision() const;
  struct BestF1 {
    double threshold, f1;
  };
  /// The threshold with the greatest F1 = 2 TP / (2 TP + FP + FN), of several the lowest; NaN without positives.
  BestF1 best_f1() const;
  /// False against true positive rate, from (0, 0); points on a straight line are left out.
  Curve roc(std::string label) const;
  /// Recall against precision, from (0, 1).
  Curve precision_recall(std::string label) const;

 private:
  std::vector<Threshold> thresholds_;
  std::int64_t positives_ = 0, negatives_ = 0;
};

}  // namespace trainctl
