// The text in front of a checkpoint, by which the file proves that it is whole.
#pragma once

#include <cstdint>
#include <string>

#include "base/file.h"

namespace trainctl {

/// The 512 bytes in front of `payload`.
std::string make_user_block(ByteSpan payload);

/// Checks the user block of a whole file against what follows it and returns the payload's SHA-256 in hex. A data
/// Error, starting with `source`, says whether it is foreign, newer, cut short or damaged.
std::string verify_user_block(ByteSpan file, const std::string& source);

}  // namespace trainctl
