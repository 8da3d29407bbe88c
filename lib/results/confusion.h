// Counts of which class was predicted where another was right, and the measures that follow from them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "results/package.h"

namespace trainctl {

class Confusion {
 public:
  explicit Confusion(std::int64_t classes) : classes_(classes), counts_(static_cast<std::size_t>(classes * classes)) {}
  void add(std::int64_t right, std::int64_t predicted) { ++counts_[index(right, predicted)]; }

  std::int64_t classes() const { return classes_; }
  std::int64_t count(std::int64_t right, std::int64_t predicted) const { return counts_[index(right, predicted)]; }
  std::int64_t total() const;
  std::int64_t correct() const;
  std::int64_t support(std::int64_t of) const;    ///< targets of that class
  std::int64_t predicted(std::int64_t of) const;  ///< predictions of that class
  /// TP / (TP + FP), TP / (TP + FN), 2 TP / (2 TP + FP + FN), TP / (TP + FP + FN); `empty` where that is 0 / 0.
  double precision(std::int64_t of, double empty) const;
  double recall(std::int64_t of, double empty) const;
  double f1(std::int64_t of, double empty) const;
  double iou(std::int64_t of, double empty) const;
  /// Rows are targets, columns predictions.
  ResultTable table(const std::vector<std::string>& labels) const;

 private:
  std::size_t index(std::int64_t right, std::int64_t predicted) const {
    return static_cast<std::size_t>(right * classes_ + predicted);
  }
  std::int64_t classes_;
  std::vector<std::int64_t> counts_;
};

}  // namespace trainctl
