#include "nn/losses/pointwise.h"
#include "nn/metric.h"

namespace trainctl {
namespace {

/// The mean of (output - target)^2 over all elements.
struct MeanSquaredError final : Metric {
  static Schema<MeanSquaredError> schema() {
    return Schema<MeanSquaredError>("Mean squared distance of outputs and targets.").example("mean_squared_error");
  }
  std::vector<Term> build(Builder& b, Value output, Value target) const override {
    const Value mean = pointwise_loss(b, "mean_squared_error", output, target, PointwiseLossAttributes::Kind::squared);
    return {{mean, static_cast<double>(output.dim(0))}};
  }
};

const Register<Metric, MeanSquaredError> registered{"mean_squared_error"};

}  // namespace
}  // namespace trainctl
