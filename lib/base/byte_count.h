// Numbers of bytes for people.
#pragma once

#include <string>

namespace trainctl {

/// "512 B", "1.5 KiB", "64.0 MiB"
std::string human_bytes(double bytes);

}  // namespace trainctl
