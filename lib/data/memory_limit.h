// How much memory there is for data.
#pragma once

#include <cstdint>

namespace trainctl {

/// Bytes of memory that this process may use: the machine's, or those of its control group where it has fewer.
std::uint64_t usable_memory_bytes();

}  // namespace trainctl
