#include "nn/metric.h"
#include "nn/target.h"

namespace trainctl {
namespace {

/// The mean of |output - target| over all elements.
struct MeanAbsoluteError final : Metric {
  static Schema<MeanAbsoluteError> schema() {
    return Schema<MeanAbsoluteError>("Mean distance of outputs and targets.").example("mean_absolute_error");
  }
  std::vector<Term> build(Builder& b, Value output, Value target) const override {
    const Value fitting = like_output(b, "mean_absolute_error", output, target);
    const double samples = static_cast<double>(output.dim(0)) / static_cast<double>(output.shape().elements());
    return {{b.apply1("absolute_error_sum", nullptr, {output, fitting}), samples}};
  }
};

const Register<Metric, MeanAbsoluteError> registered{"mean_absolute_error"};

}  // namespace
}  // namespace trainctl
