#include "remote/run_files.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <system_error>

#include "base/error.h"
#include "base/text.h"
#include "remote/copy_record.h"
#include "store/checkpoint_store.h"

namespace trainctl {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view checkpoints_prefix = "checkpoints/";
constexpr int deepest = 64;

bool is_left_out(std::string_view name) {
  return name == "run.lock" || name == CopyRecord::file_name || name == CopyRecord::lock_name ||
         name == CopyRecord::marker_name;
}

void walk(const fs::path& folder, const std::string& prefix, int depth, std::vector<RunFile>& files) {
  std::error_code error;
  fs::directory_iterator it(folder, error), end;
  if (error == std::errc::no_such_file_or_directory && depth > 0) return;
  for (; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (name.starts_with('.') || (depth == 0 && is_left_out(name))) continue;
    std::error_code gone;
    const fs::file_type type = it->symlink_status(gone).type();
    if (type == fs::file_type::directory && depth < deepest) walk(it->path(), prefix + name + "/", depth + 1, files);
    if (type != fs::file_type::regular) continue;
    if (const auto stamp = stamp_of(it->path())) files.push_back({prefix + name, *stamp});
  }
  if (error) fail(ErrorKind::environment, "{}: cannot list the files: {}", folder.string(), error.message());
}

}  // namespace

std::optional<FileStamp> stamp_of(const fs::path& path) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) return {};
  return FileStamp{.bytes = static_cast<std::uint64_t>(info.st_size),
                   .mtime_ns = info.st_mtim.tv_sec * std::int64_t{1'000'000'000} + info.st_mtim.tv_nsec,
                   .inode = info.st_ino};
}

std::vector<RunFile> run_files(const RunPaths& paths) {
  std::vector<RunFile> files;
  walk(paths.root, "", 0, files);
  std::ranges::sort(files, {}, &RunFile::name);
  return files;
}

std::optional<std::int64_t> checkpoint_step(std::string_view name) {
  if (!name.starts_with(checkpoints_prefix)) return {};
  return CheckpointStore::step_of(std::string(name.substr(checkpoints_prefix.size())));
}

bool precedes_checkpoints(std::string_view name) {
  constexpr std::array files{"config.yaml", "config.orig.yaml", "steps.jsonl", "events.jsonl"};
  return std::ranges::find(files, name) != files.end() || name.starts_with("source/") || name.starts_with("samples/") ||
         name.ends_with(".patch");
}

bool is_run_file_name(std::string_view name) {
  if (name.empty() || name.size() > 4096 || is_left_out(name)) return false;
  const auto control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; };
  if (std::ranges::any_of(name, control)) return false;
  // An empty part, "." and ".." among them.
  return std::ranges::none_of(split(name, '/'),
                              [](const std::string& part) { return part.empty() || part.starts_with('.'); });
}

}  // namespace trainctl
