#include "train/policy.h"

#include <algorithm>
#include <cmath>
#include <utility>

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

void Requests::ask_stop(std::string reason) {
  if (stop) return;
  stop = true;
  stop_reason = std::move(reason);
}

double Policy::value(std::int64_t, double base, const Schedule&) const {
  return base;
}
std::string Policy::settle(double, const Schedule&) {
  return {};
}
void Policy::report(const HistoryRecord&, Requests&) {}
std::vector<std::string> Policy::adds(const StateSpec&) {
  return {};
}
void Policy::measure(const StateStore&, bool) {}
void Policy::happened(const Event&, Requests&) {}
void Policy::restore(const NamedValues&) {}

}  // namespace trainctl
