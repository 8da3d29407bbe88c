#include "nn/loss.h"

namespace trainctl {

std::int64_t Loss::terms(const Value& output, const Value& target) const {
  return takes_classes() ? target.shape().elements() : output.shape().elements();
}

Value Loss::objective(Builder& builder, Value mean, const Value& output, const Value& target, std::int64_t samples,
                      bool accumulates) const {
  const auto times = [&](Value value, Value factor) { return builder.apply1("scale", nullptr, {value, factor}); };
  Value result = mean;
  if (reduction != Reduction::mean) {
    const auto count = static_cast<double>(terms(output, target));
    const bool sum = reduction == Reduction::sum;
    result = times(result, builder.graph().constant(sum ? count : count / static_cast<double>(samples)));
    // A batch's sum counts in full, not by its share of the update.
    if (sum && accumulates)
      result = times(result, builder.apply1("reciprocal", nullptr, {builder.graph().scalar("batch_weight")}));
  }
  if (scale.value != 1.0 || builder.context().live.contains(scale.path))
    result = times(result, builder.number(scale.value, scale.path));
  return result;
}

bool Loss::is_plain(const Builder& builder) const {
  return reduction == Reduction::mean && scale.value == 1.0 && !builder.context().live.contains(scale.path);
}

}  // namespace trainctl
