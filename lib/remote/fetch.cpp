#include "remote/fetch.h"

#include <algorithm>
#include <cstdio>
#include <map>
#include <system_error>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "remote/run_files.h"
#include "store/checkpoint_store.h"
#include "store/history.h"

namespace trainctl {
namespace fs = std::filesystem;
namespace {

/// A run that is being copied meanwhile changes; so often it is looked at again.
constexpr int most_looks = 5;

std::vector<RemoteObject> objects_of(ObjectStore& store, const std::string& key) {
  std::vector<RemoteObject> objects = store.list(key + "/");
  if (objects.empty()) fail(ErrorKind::data, "{}: there is no run", store.url(key));
  return objects;
}

std::optional<CopyMarker> marker_of(ObjectStore& store, const std::string& key, const fs::path& scratch) {
  const std::string name = key + "/" + CopyRecord::marker_name;
  const TemporaryFile file(scratch / CopyRecord::marker_name);
  try {
    store.get(name, file.path());
  } catch (const RemoteError& error) {
    if (error.cause() == RemoteError::Cause::missing) return {};
    throw;
  }
  return CopyMarker::from_json(read_file(file.path()), store.url(name));
}

void make_folders(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) fail(ErrorKind::environment, "{}: cannot create the folder: {}", folder.string(), error.message());
}

/// A folder beside the target that becomes it, or goes.
class Staging {
 public:
  explicit Staging(const fs::path& target)
      : path_(target.parent_path() / ("." + target.filename().string() + ".fetch")) {
    make_folders(path_);
    lock_.emplace(RunPaths{path_}.lock());  // held by another fetch: an environment Error
    for (const auto& entry : fs::directory_iterator(path_)) {
      if (entry.path() != RunPaths{path_}.lock()) fs::remove_all(entry.path());  // of one that was killed
    }
  }
  ~Staging() {
    std::error_code error;
    if (!path_.empty()) fs::remove_all(path_, error);
  }
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;

  const fs::path& path() const { return path_; }
  void become(const fs::path& target) {
    if (::rename(path_.c_str(), target.c_str()) != 0) fail_io(target, "make the run's folder", errno);
    path_.clear();
    sync_directory(target.parent_path());
  }

 private:
  fs::path path_;
  std::optional<FileLock> lock_;
};

/// Everything of a run, checkpoints first, so that what they need is at least as far as they are.
class Download {
 public:
  Download(ObjectStore& store, const std::string& key, const fs::path& folder)
      : store_(store), key_(key), folder_(folder) {}

  void run() {
    for (int look = 0; look < most_looks; ++look) {
      vanished_ = false;
      const std::vector<RemoteObject> objects = objects_of(store_, key_);
      for (const bool checkpoints : {true, false}) {
        for (const RemoteObject& object : objects) {
          const std::string name = object.key.substr(key_.size() + 1);
          if (is_run_file_name(name) && checkpoint_step(name).has_value() == checkpoints) get(name, object);
        }
      }
      if (!vanished_) return;
    }
    log::warn("{}: changes all the time; what was fetched is as far as it was", store_.url(key_));
  }
  const std::map<std::string, std::uint64_t>& files() const { return files_; }

 private:
  void get(const std::string& name, const RemoteObject& object) {
    const bool fixed = checkpoint_step(name).has_value();
    if (const auto known = files_.find(name); known != files_.end() && fixed) return;
    const fs::path file = folder_ / name;
    make_folders(file.parent_path());
    try {
      store_.get(object.key, file);
      const auto stamp = stamp_of(file);
      files_[name] = stamp ? stamp->bytes : 0;
    } catch (const RemoteError& error) {
      if (error.cause() != RemoteError::Cause::missing) throw;
      vanished_ = true;
    }
  }

  ObjectStore& store_;
  const std::string& key_;
  const fs::path& folder_;
  std::map<std::string, std::uint64_t> files_;
  bool vanished_ = false;
};

/// Proves the checkpoints and makes the links; the step of the newest.
std::int64_t settle_checkpoints(const RunPaths& paths, const std::string& url) {
  const CheckpointStore checkpoints(paths.checkpoints());
  std::int64_t newest = -1;
  std::string last_reason;
  std::optional<HistoryBest> best;
  for (const CheckpointStore::File& file : checkpoints.list()) {
    try {
      const CheckpointReader reader = open_checkpoint(file.path);
      if (newest >= 0) continue;
      newest = file.step;
      best = History::from_json(reader.history_json(), file.path.string()).best;
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::data) throw;
      last_reason = error.what();
      log::warn("{}; left out", error.what());
      fs::remove(file.path);
    }
  }
  if (newest < 0 && !last_reason.empty())
    fail(ErrorKind::data, "{}: no checkpoint of the run is whole: {}", url, last_reason);
  for (const CheckpointStore::File& file : checkpoints.list()) {
    if (file.step == newest) replace_symlink(file.path.filename(), paths.checkpoints() / "last.h5");
    if (best && file.step == best->step) replace_symlink(file.path.filename(), paths.checkpoints() / "best.h5");
  }
  return newest;
}

}  // namespace

Fetched fetch_run(ObjectStore& store, const std::string& key, const fs::path& target) {
  std::error_code error;
  const fs::path folder = fs::absolute(target).lexically_normal();
  if (fs::exists(fs::symlink_status(folder, error)))
    fail(ErrorKind::usage, "{}: exists already; name another folder with --output", target.string());
  objects_of(store, key);  // before anything is made
  make_folders(folder.parent_path());
  Staging staging(folder);
  const RunPaths paths{staging.path()};
  Download download(store, key, staging.path());
  download.run();
  if (!download.files().contains("config.yaml"))
    fail(ErrorKind::data, "{}: is no run: it holds no config.yaml", store.url(key));
  Fetched fetched{.step = settle_checkpoints(paths, store.url(key))};
  CopyRecord record = CopyRecord::fresh(key);
  if (const auto marker = marker_of(store, key, staging.path())) record.run = marker->run;
  CopyRecord::Place& place = record.places[store.url(key)];
  for (const RunFile& file : run_files(paths)) {
    place.files[file.name] = file.stamp;
    ++fetched.files;
    fetched.bytes += file.stamp.bytes;
  }
  record.write(paths);
  staging.become(folder);
  return fetched;
}

RemoteRunState look_at_run(ObjectStore& store, const std::string& key, const fs::path& scratch) {
  RemoteRunState state;
  for (const RemoteObject& object : objects_of(store, key)) {
    const auto step = checkpoint_step(std::string_view(object.key).substr(key.size() + 1));
    state.newest_step = std::max(state.newest_step, step.value_or(-1));
  }
  state.marker = marker_of(store, key, scratch);
  return state;
}

}  // namespace trainctl
