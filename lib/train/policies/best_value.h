// The best of a monitored value, for policies that wait for it to improve.
#pragma once

#include <cmath>
#include <cstdint>

#include "train/policy.h"

namespace trainctl {

/// Remembers the best value so far and how many reports have gone by since. NaN is never better than anything.
struct BestValue {
  double best = NAN;
  std::int64_t waited = 0;

  /// A report's value: whether it is better than the best by more than atol + rtol |best|.
  bool offer(double value, Mode mode, double atol, double rtol) {
    if (improves(value, mode, atol, rtol)) {
      best = value;
      waited = 0;
      return true;
    }
    ++waited;
    return false;
  }

  NamedValues state() const { return {{"best", best}, {"waited", static_cast<double>(waited)}}; }
  void restore(const NamedValues& state) {
    best = find_value(state, "best").value_or(NAN);
    waited = static_cast<std::int64_t>(find_value(state, "waited").value_or(0.0));
  }

 private:
  bool improves(double value, Mode mode, double atol, double rtol) const {
    if (std::isnan(value)) return false;
    if (std::isnan(best)) return true;
    const double gain = mode == Mode::min ? best - value : value - best;
    return gain > (std::isinf(best) ? 0.0 : atol + rtol * std::abs(best));
  }
};

}  // namespace trainctl
