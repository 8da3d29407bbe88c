#include "store/checkpoint_store.h"

#include <algorithm>
#include <charconv>
#include <system_error>

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "store/run_directory.h"

namespace trainctl {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view prefix = "step-";
constexpr std::string_view suffix = ".h5";

// A file that stays is no harm to the run, so a failure here is only told.
void remove_file(const fs::path& path) {
  std::error_code error;
  if (!fs::remove(path, error) && error) log::warn("{}: cannot remove: {}", path.string(), error.message());
}

}  // namespace

std::optional<std::int64_t> CheckpointStore::step_of(const std::string& name) {
  if (!name.starts_with(prefix) || !name.ends_with(suffix) || name.size() < prefix.size() + suffix.size() + 8)
    return {};
  const char* begin = name.data() + prefix.size();
  const char* end = name.data() + name.size() - suffix.size();
  std::int64_t step = 0;
  const auto [stop, error] = std::from_chars(begin, end, step);
  if (error != std::errc() || stop != end || step < 0) return {};
  return step;
}

fs::path CheckpointStore::file_path(std::int64_t step) const {
  return folder_ / fmt::format("{}{:08}{}", prefix, step, suffix);
}

void CheckpointStore::prepare() {
  std::error_code error;
  if (fs::is_symlink(fs::symlink_status(folder_, error))) {
    fail(ErrorKind::environment,
         "{}: is a symbolic link, and checkpoints are written into real folders only; choose the place by "
         "output.root or --output",
         folder_.string());
  }
  const bool created = fs::create_directory(folder_, error);
  if (error) fail(ErrorKind::environment, "{}: cannot create the folder: {}", folder_.string(), error.message());
  if (created) sync_directory(folder_ / "..");
  if (const int count = remove_temporaries(folder_)) {
    log::info("{}: removed {}", folder_.string(), counted(static_cast<std::size_t>(count), "unfinished file"));
  }
}

std::vector<CheckpointStore::File> CheckpointStore::list() const {
  std::vector<File> files;
  std::error_code error;
  fs::directory_iterator it(folder_, error);
  if (error == std::errc::no_such_file_or_directory) return files;
  for (; !error && it != fs::directory_iterator(); it.increment(error)) {
    const auto step = step_of(it->path().filename().string());
    if (step && it->symlink_status().type() == fs::file_type::regular) files.push_back({it->path(), *step});
  }
  if (error) fail(ErrorKind::environment, "{}: cannot list the checkpoints: {}", folder_.string(), error.message());
  std::ranges::sort(files, std::ranges::greater(), &File::step);
  return files;
}

std::optional<CheckpointStore::Found> CheckpointStore::newest_valid() const {
  std::vector<Refused> refused;
  for (const File& file : list()) {
    try {
      return Found{file, open_checkpoint(file.path), std::move(refused)};
    } catch (const Error& error) {
      // Only damage is passed over: a disk that cannot be read now may hold a sound newer checkpoint.
      if (error.kind() != ErrorKind::data) throw;
      refused.push_back({file.path, error.what()});
    }
  }
  if (refused.empty()) return {};
  std::string reasons;
  for (const Refused& one : refused) reasons += "\n  " + one.reason;
  fail(ErrorKind::data,
       "{}: no checkpoint is usable, and the run is not started again by itself; start a new run, or put a sound "
       "checkpoint there:{}",
       folder_.string(), reasons);
}

std::optional<CheckpointStore::File> CheckpointStore::linked(const char* link) const {
  std::error_code error;
  const fs::path target = fs::read_symlink(folder_ / link, error);
  if (error || target.has_parent_path()) return {};
  const auto step = step_of(target.string());
  if (!step || !fs::is_regular_file(fs::symlink_status(folder_ / target, error))) return {};
  return File{folder_ / target, *step};
}

fs::path CheckpointStore::save(std::int64_t step, const CheckpointContents& contents, bool is_best,
                               Retention retention) {
  const fs::path path = file_path(step);
  write_checkpoint(path, contents);
  replace_symlink(path.filename(), folder_ / "last.h5");
  if (is_best) replace_symlink(path.filename(), folder_ / "best.h5");
  apply(retention, step);
  return path;
}

void CheckpointStore::apply(Retention retention, std::int64_t newest) {
  if (retention.last <= 0) return;
  const auto best_file = retention.best ? best() : std::nullopt;
  int kept = 0;
  for (const File& file : list()) {
    // Only what lies behind the file just written is judged; what lies before it is for rewind() alone.
    if (file.step > newest || kept++ < retention.last) continue;
    if (best_file && best_file->step == file.step) continue;
    remove_file(file.path);
  }
}

void CheckpointStore::rewind(std::int64_t step, std::optional<std::int64_t> best_step) {
  const std::vector<File> files = list();
  const auto exists = [&](std::int64_t wanted) { return std::ranges::find(files, wanted, &File::step) != files.end(); };
  require(exists(step), "rewind() to a checkpoint that is not there");
  replace_symlink(file_path(step).filename(), folder_ / "last.h5");
  if (best_step && *best_step <= step && exists(*best_step)) {
    replace_symlink(file_path(*best_step).filename(), folder_ / "best.h5");
  } else {
    remove_file(folder_ / "best.h5");
  }
  for (const File& file : files) {
    if (file.step > step) {
      log::warn("{}: removed, since the run goes on from step {}", file.path.string(), step);
      remove_file(file.path);
    }
  }
}

CheckpointReader open_run_or_checkpoint(const std::filesystem::path& target) {
  if (!std::filesystem::exists(target))
    fail(ErrorKind::data, "{}: there is no such run or checkpoint", target.string());
  if (!std::filesystem::is_directory(target)) return open_checkpoint(target);
  CheckpointStore store(RunPaths{target}.checkpoints());
  if (const auto best = store.best()) {
    try {
      return open_checkpoint(best->path);
    } catch (const Error& error) {
      log::warn("{}; taking the newest whole checkpoint instead", error.what());
    }
  }
  auto found = store.newest_valid();
  if (!found) fail(ErrorKind::data, "{}: the run has no checkpoint yet", target.string());
  return std::move(found->reader);
}

}  // namespace trainctl
