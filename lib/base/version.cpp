#include "base/version.h"

#include <fmt/core.h>

namespace trainctl {

std::string version_text() {
  return TRAINCTL_VERSION;
}

std::string build_text() {
#if defined(__clang__)
  const char* compiler = "clang " __clang_version__;
#else
  const char* compiler = "g++ " __VERSION__;
#endif
  return fmt::format("{}, {}", TRAINCTL_BUILD_TYPE, compiler);
}

}  // namespace trainctl
