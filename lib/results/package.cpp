#include "results/package.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace trainctl {

const Findings::Value& Findings::value(std::string_view name) const {
  const auto found = std::ranges::find(values, name, &Value::name);
  require(found != values.end(), "a value that the package does not tell");
  return *found;
}

std::int64_t class_of(double target, std::int64_t classes) {
  if (target >= 0.0 && target < static_cast<double>(classes) && target == std::floor(target))
    return static_cast<std::int64_t>(target);
  fail(ErrorKind::data, "a target is {}, and the predictions are scores of the classes 0 to {}", target, classes - 1);
}

bool are_logits(Scores scores, const PredictionInfo& info) {
  return scores == Scores::automatic ? !info.probabilities : scores == Scores::logits;
}

std::vector<std::string> class_labels(const PredictionInfo& info, std::int64_t count) {
  if (std::ssize(info.class_names) == count) return info.class_names;
  std::vector<std::string> labels;
  for (std::int64_t i = 0; i < count; ++i) labels.push_back(std::to_string(i));
  return labels;
}

}  // namespace trainctl
