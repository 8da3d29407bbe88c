// Copies of source files that a run keeps, so that it says itself what it was made with.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace trainctl {

/// Files to be kept.
struct SourceFiles {
  static constexpr std::size_t max_files = 1000;
  static constexpr std::uint64_t max_bytes = std::uint64_t{16} << 20;

  std::filesystem::path base;                ///< the folder that they have in common
  std::vector<std::filesystem::path> files;  ///< below it, relative; sorted
};

/// The regular files that patterns name: absolute paths in which `*`, `?` and `[...]` stand for characters of a name
/// (no dot at its beginning) and `**` for any folders. Symbolic links are not followed from where the first wildcard
/// stands, and a file that is one is left out; so are the folders of runs. A config Error if a pattern names no file,
/// or all together are too many or too large.
SourceFiles find_sources(const std::vector<std::filesystem::path>& patterns);

/// Copies them into a folder under their relative paths; returns those with the SHA-256 of what was copied.
std::map<std::string, std::string> copy_sources(const SourceFiles& sources, const std::filesystem::path& into);

}  // namespace trainctl
