// What this build is.
#pragma once

#include <string>

namespace trainctl {

/// "0.1.0"
std::string version_text();
/// Build type and compiler: "Release, g++ 12.2.0".
std::string build_text();

}  // namespace trainctl
