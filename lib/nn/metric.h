// Metrics that are sums over samples, kept on the device and read when reported.
#pragma once

#include <algorithm>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "graph/builder.h"
#include "schema/schema.h"

namespace trainctl {

/// A summed metric. One file each in lib/nn/metrics.
struct Metric {
  static constexpr const char* kind = "metric";

  bool training = true;  ///< whether it is measured of training batches too

  /// What one batch adds to one of the metric's sums: factor * value.
  struct Term {
    Value value;  ///< f32, f64, i32 or i64, of one shape for all batches: a scalar, or counts
    double factor = 1.0;
  };
  virtual ~Metric() = default;
  /// The terms of a batch: as many for each batch, in the same order.
  virtual std::vector<Term> build(Builder& builder, Value output, Value target) const = 0;
  /// The metric from its sums over `samples` samples, all elements one after another; NaN where it is not defined. By
  /// default the first sum over the samples.
  virtual double finish(std::span<const double> sums, double samples) const { return sums[0] / samples; }

  template <typename T>
  static void common(Schema<T>& schema);
};

template <typename T>
void Metric::common(Schema<T>& schema) {
  schema.field("training", &Metric::training,
               "Whether it is measured of training batches too, not in validation alone.");
}

/// `metrics`: what is measured beside what the step reports itself. null takes away either.
struct Metrics : Named<Metric> {
  std::vector<std::string> off;  ///< names given as null
  bool is_off(std::string_view name) const { return std::ranges::find(off, name) != off.end(); }
};

template <>
struct Bind<Metrics> {
  static TypeInfo info();
};

}  // namespace trainctl
