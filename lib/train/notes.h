// Notes on a spec that only its assembly can make.
#pragma once

#include <string>

#include "schema/diagnostics.h"

namespace trainctl {

/// Notes an error at `path`, written at `source`.
inline void note(Diagnostics& problems, const Source& source, const std::string& path, const std::string& message) {
  problems.set_path(path);
  problems.error(source, message);
}

}  // namespace trainctl
