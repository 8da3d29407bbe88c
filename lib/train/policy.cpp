#include "train/policy.h"

#include <algorithm>
#include <cmath>

namespace trainctl {

std::int64_t Schedule::steps(const Progress& duration) const {
  double steps = duration.count;
  if (duration.unit == Progress::Unit::epochs) steps *= static_cast<double>(steps_per_epoch);
  if (duration.unit == Progress::Unit::samples) {
    const double epochs = std::floor(duration.count / static_cast<double>(samples_per_epoch));
    const double rest = duration.count - epochs * static_cast<double>(samples_per_epoch);
    steps = epochs * static_cast<double>(steps_per_epoch) + std::ceil(rest / static_cast<double>(batch_samples));
  }
  if (steps <= 0.0) return 0;
  return std::max<std::int64_t>(1, std::llround(steps));
}

double Policy::value(std::int64_t, double base, const Schedule&) const {
  return base;
}
void Policy::report(const HistoryRecord&, Requests&) {}
void Policy::restore(const NamedValues&) {}

double warmed_up(std::int64_t step, std::int64_t warmup_steps, double base) {
  return base * static_cast<double>(step + 1) / static_cast<double>(warmup_steps);
}

}  // namespace trainctl
