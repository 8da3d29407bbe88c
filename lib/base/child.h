// Work whose crash must not be ours.
#pragma once

#include <functional>
#include <optional>
#include <string>

namespace trainctl {

/// Runs `work` in a forked child and returns its result; nullopt if the child crashed, threw or took longer than
/// `seconds`. The child's stderr is dropped. `work` may use the caller's memory (a copy), but no other thread of the
/// caller exists there. Throws an environment Error if there can be no further process.
std::optional<std::string> run_in_child(const std::function<std::string()>& work, unsigned seconds);

}  // namespace trainctl
