// Which steps of a plan must come after which: what a device may run at the same time.
#pragma once

#include "program/plan.h"

namespace trainctl {

/// Fills `after` of every step from the memory that steps read and write, which must be placed already. A step that
/// comes after another through a third does not name it.
void find_order(Plan& plan);

}  // namespace trainctl
