// Metrics that are sums over samples, kept on the device and read when reported.
#pragma once

#include <span>
#include <vector>

#include "graph/builder.h"
#include "schema/schema.h"

namespace trainctl {

/// A summed metric. One file each in lib/nn/metrics.
struct Metric {
  static constexpr const char* kind = "metric";

  /// What one batch adds to one of the metric's sums: factor * value.
  struct Term {
    Value value;  ///< a scalar of f32, f64, i32 or i64
    double factor = 1.0;
  };
  virtual ~Metric() = default;
  /// The terms of a batch: as many for each batch, in the same order.
  virtual std::vector<Term> build(Builder& builder, Value output, Value target) const = 0;
  /// The metric from its sums over `samples` samples. By default the first sum over the samples.
  virtual double finish(std::span<const double> sums, double samples) const { return sums[0] / samples; }
};

}  // namespace trainctl
