// Counts that measures of classifiers are made of. Counts of batches add up to those of all samples.
#pragma once

#include <cstdint>
#include <string>

#include "device/attributes.h"
#include "device/types.h"

namespace trainctl {

/// "class_counts": (scores (N, C, ...) f32, target (N, ...) i64 or i32) -> (3, C) i64: of each class the targets that
/// were predicted right, the predictions, the targets. Predicted is the class with the greatest score, of equals the
/// first; a row with a NaN predicts nothing. Of one score, C = 1, targets are f32 of the scores' shape: classes are no
/// and yes (above 0.5), yes is predicted where the score is above `threshold`, and the counts are (3, 2).
struct ClassCountsAttributes final : Attributes {
  double threshold = 0.0;
  explicit ClassCountsAttributes(double t) : threshold(t) {}
  std::string text() const override;
};

/// "score_histogram": (scores, target) as above -> (2, C, bins) i64: rows that are not of class c, and those that are,
/// by the log-odds of c against all others,
///   z_c - log sum_{k != c} exp z_k,   or z itself for C = 1.
/// Bins are equally wide between -limit and limit; the first and the last take what lies beyond. A row with a NaN is in
/// no bin.
struct ScoreHistogramAttributes final : Attributes {
  static constexpr double limit = 16.0;
  std::int64_t bins = 1;
  explicit ScoreHistogramAttributes(std::int64_t b) : bins(b) {}
  std::string text() const override { return "bins=" + std::to_string(bins); }
};

}  // namespace trainctl
