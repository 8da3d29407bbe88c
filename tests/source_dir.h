// Where the tests' files are.
#pragma once

#include <cstdlib>
#include <filesystem>

namespace trainctl::test {

/// The source tree that the tests were built from, or $TRAINCTL_SOURCE_DIR where they run somewhere else.
inline std::filesystem::path source_dir() {
  const char* given = std::getenv("TRAINCTL_SOURCE_DIR");
  return given ? given : TRAINCTL_SOURCE_DIR;
}

}  // namespace trainctl::test
