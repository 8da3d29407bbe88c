// State in the layouts in which programs read it.
#pragma once

#include <functional>
#include <vector>

#include "graph/state.h"
#include "program/plan.h"

namespace trainctl {

/// Has members of groups lie as most of what reads them in the plans has them reordered to, where axes change places
/// alone: weights as convolutions take them, so that nothing is reordered in a step. Returns whether anything is placed
/// otherwise than before, so that programs are to be planned again.
bool place_states(StateSpec& spec, const std::vector<std::reference_wrapper<const Plan>>& plans);

}  // namespace trainctl
