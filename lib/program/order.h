// Which steps of a plan must come after which: what a device may run at the same time.
#pragma once

#include <vector>

#include "program/plan.h"

namespace trainctl {

/// For every step of `runs` runs, one behind the other, the earlier ones that it must wait for, from the memory that
/// steps read and write, which must be placed already. A step that comes after another through a third does not name
/// it. Scalars are not written, so it does not matter that each run has its own.
std::vector<std::vector<int>> order_of(const Plan& plan, int runs);

/// Fills `after` of every step: the order of one run.
void find_order(Plan& plan);

}  // namespace trainctl
