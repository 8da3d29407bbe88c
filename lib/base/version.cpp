#include "base/version.h"

#include <fmt/core.h>

namespace trainctl {

std::string version_text() {
  return TRAINCTL_VERSION;
}

std::string build_text() {
#if defined(__clang__)
  const std::string compiler = fmt::format("clang {}.{}.{}", __clang_major__, __clang_minor__, __clang_patchlevel__);
#else
  const std::string compiler = "g++ " __VERSION__;
#endif
  return fmt::format("{}, {}", TRAINCTL_BUILD_TYPE, compiler);
}

}  // namespace trainctl
