#include "store/source_copy.h"

#include <fnmatch.h>

#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "base/sha256.h"
#include "store/run_directory.h"

namespace trainctl {
namespace {

namespace fs = std::filesystem;
using Part = fs::path::const_iterator;

constexpr std::size_t most_entries = 200'000;  // of folders that patterns go through

bool is_pattern(const std::string& part) {
  return part.find_first_of("*?[") != std::string::npos;
}

/// What one pattern finds, folder by folder.
class Search {
 public:
  Search(const fs::path& pattern, std::set<fs::path>& found) : pattern_(pattern), found_(found) {}

  void run() { from("/", std::next(pattern_.begin()), false); }

 private:
  /// `wild`: a wildcard came before, so that links are not followed.
  void from(const fs::path& folder, Part part, bool wild) {
    if (part == pattern_.end()) return;
    const std::string name = part->string();
    const bool last = std::next(part) == pattern_.end();
    if (name == "**") {
      from(folder, std::next(part), true);
      for (const auto& entry : entries(folder)) {
        if (!is_folder(entry) || entry.path().filename().string().starts_with('.')) continue;
        from(entry.path(), part, true);
      }
      return;
    }
    if (!is_pattern(name)) {
      std::error_code error;
      const fs::directory_entry entry(folder / name, error);
      if (error || !entry.exists(error)) return;
      if (last)
        take(entry);
      else if (wild ? is_folder(entry) : entry.is_directory(error))
        from(entry.path(), std::next(part), wild);
      return;
    }
    for (const auto& entry : entries(folder)) {
      if (::fnmatch(name.c_str(), entry.path().filename().c_str(), FNM_PERIOD) != 0) continue;
      if (last)
        take(entry);
      else if (is_folder(entry))
        from(entry.path(), std::next(part), true);
    }
  }

  /// A folder itself, and not one of a run.
  static bool is_folder(const fs::directory_entry& entry) {
    std::error_code error;
    return !entry.is_symlink(error) && entry.is_directory(error) && !fs::exists(RunPaths{entry.path()}.lock(), error);
  }
  void take(const fs::directory_entry& entry) {
    std::error_code error;
    if (!entry.is_symlink(error) && entry.is_regular_file(error)) found_.insert(entry.path());
  }
  std::vector<fs::directory_entry> entries(const fs::path& folder) {
    std::vector<fs::directory_entry> all;
    std::error_code error;
    for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
      if (++seen_ > most_entries) {
        fail(ErrorKind::config, "save_source: '{}' goes through more than {} files; name a smaller folder",
             pattern_.string(), most_entries);
      }
      all.push_back(*it);
    }
    return all;
  }

  const fs::path& pattern_;
  std::set<fs::path>& found_;
  std::size_t seen_ = 0;
};

/// The folder that holds both a folder and a file.
fs::path common_folder(const fs::path& folder, const fs::path& file) {
  const fs::path other = file.parent_path();
  const auto [end, unused] = std::mismatch(folder.begin(), folder.end(), other.begin(), other.end());
  fs::path common;
  for (auto part = folder.begin(); part != end; ++part) common /= *part;
  return common;
}

}  // namespace

SourceFiles find_sources(const std::vector<fs::path>& patterns) {
  std::set<fs::path> found;
  for (const fs::path& pattern : patterns) {
    std::set<fs::path> own;
    Search(pattern, own).run();
    if (own.empty()) {
      fail(ErrorKind::config, "save_source: '{}' names no file (links and folders do not count); correct or remove it",
           pattern.string());
    }
    found.merge(own);
  }
  SourceFiles sources;
  std::uint64_t bytes = 0;
  for (const fs::path& file : found) {
    std::error_code gone;
    const auto size = fs::file_size(file, gone);
    if (!gone) bytes += size;
    sources.base = sources.base.empty() ? file.parent_path() : common_folder(sources.base, file);
  }
  if (found.size() > SourceFiles::max_files || bytes > SourceFiles::max_bytes) {
    fail(ErrorKind::config, "save_source: {} files of {:.1f} MiB, more than the {} files or {} MiB that a run keeps",
         found.size(), static_cast<double>(bytes) / (1 << 20), SourceFiles::max_files, SourceFiles::max_bytes >> 20);
  }
  for (const fs::path& file : found) sources.files.push_back(file.lexically_relative(sources.base));
  return sources;
}

std::map<std::string, std::string> copy_sources(const SourceFiles& sources, const fs::path& into) {
  std::map<std::string, std::string> digests;
  for (const fs::path& file : sources.files) {
    const Bytes bytes = read_bytes(sources.base / file, SourceFiles::max_bytes);
    std::error_code error;
    fs::create_directories((into / file).parent_path(), error);
    if (error) fail(ErrorKind::environment, "{}: cannot be made: {}", into.string(), error.message());
    write_file_atomic(into / file, bytes.text());
    digests[file.string()] = sha256_hex(bytes.span());
  }
  return digests;
}

}  // namespace trainctl
