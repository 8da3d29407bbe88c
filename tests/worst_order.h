// The worst order in which a device may run what it is given, so that what a plan forgets to order comes out wrong.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "device/device.h"

namespace trainctl::test {

/// Calls run(i) once for every launch: always the last one that waits for nothing.
template <typename Run>
void in_worst_order(const std::vector<BoundLaunch>& launches, Run run) {
  std::vector<bool> done(launches.size());
  const auto ready = [&](const BoundLaunch& launch) {
    return std::ranges::all_of(launch.after, [&](int earlier) { return done[earlier]; });
  };
  for (std::size_t count = 0; count < launches.size(); ++count) {
    std::size_t next = launches.size() - 1;
    while (done[next] || !ready(launches[next])) --next;
    run(next);
    done[next] = true;
  }
}

}  // namespace trainctl::test
