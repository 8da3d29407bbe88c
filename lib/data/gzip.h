// gzip files (RFC 1952), decompressed in one call.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>

#include "data/host_bytes.h"

namespace trainctl {

/// True if the bytes begin with gzip's magic number.
bool is_gzip(std::span<const std::byte> bytes);

/// Decompresses a whole single-member gzip file and checks its CRC-32 and length. The contents start at `lead` bytes
/// into the result, for a caller that wants what follows a header to be aligned. `path` is for messages.
/// Throws a data Error: truncated, damaged, or more than one member.
HostBytes gunzip(std::span<const std::byte> compressed, const std::filesystem::path& path, std::size_t lead = 0);

/// Decompresses only the first `out.size()` bytes; gives how many there were. Checks nothing beyond.
std::size_t gunzip_head(std::span<const std::byte> compressed, std::span<std::byte> out,
                        const std::filesystem::path& path);

}  // namespace trainctl
