// Durations from text.
#pragma once

#include <optional>
#include <string_view>

#include "schema/values.h"

namespace trainctl {

/// "3 epochs", "500 steps", "100000 samples"; nothing for any other text, and for a broken step or sample.
std::optional<Progress> progress_of(std::string_view text);
/// "45 s", "30 min", "11 h 30 min", "2 d": units from large to small, each once.
std::optional<WallTime> wall_time_of(std::string_view text);

}  // namespace trainctl
