// A store in memory that notes what is asked of it and fails as it is told, and a run's folder to copy.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/temp_folder.h"
#include "remote/object_store.h"
#include "store/run_directory.h"

namespace trainctl::testing {

class FakeStore final : public ObjectStore {
 public:
  /// What is asked, before it is done: "put config.yaml", "get", "list", "remove". May throw.
  std::function<void(const std::string& call)> before = [](const std::string&) {};
  /// When a file has been read that is put, before it is there.
  std::function<void(const std::string& call)> amid = [](const std::string&) {};
  /// When what is put is there, before the answer.
  std::function<void(const std::string& call)> after = [](const std::string&) {};
  std::map<std::string, std::string> objects;
  std::vector<std::string> calls;  ///< puts and removes, by name below the run's key
  std::atomic<int> asked{0};
  std::atomic<bool> cancelled{false};
  std::mutex mutex;

  std::string url(std::string_view key) const override { return "fake://" + std::string(key); }
  void put(std::string_view key, const std::filesystem::path& file) override {
    ask("put " + name(key));
    std::string bytes = read_file(file);
    amid("put " + name(key));
    {
      const std::lock_guard lock(mutex);
      objects[std::string(key)] = std::move(bytes);
      calls.push_back("put " + name(key));
    }
    after("put " + name(key));
  }
  void get(std::string_view key, const std::filesystem::path& file) override {
    ask("get");
    const std::lock_guard lock(mutex);
    const auto found = objects.find(std::string(key));
    if (found == objects.end()) throw RemoteError(RemoteError::Cause::missing, std::string(key) + ": missing");
    write_file_atomic(file, found->second);
  }
  std::optional<RemoteObject> find(std::string_view key) override {
    const auto found = objects.find(std::string(key));
    if (found == objects.end()) return {};
    return RemoteObject{found->first, found->second.size()};
  }
  std::vector<RemoteObject> list(std::string_view prefix) override {
    ask("list");
    const std::lock_guard lock(mutex);
    std::vector<RemoteObject> found;
    for (const auto& [key, bytes] : objects)
      if (key.starts_with(prefix)) found.push_back({key, bytes.size()});
    return found;
  }
  void remove(std::string_view key) override {
    ask("remove " + name(key));
    const std::lock_guard lock(mutex);
    objects.erase(std::string(key));
    calls.push_back("remove " + name(key));
  }
  void cancel() override {
    cancelled = true;
    cancelled.notify_all();
  }

  /// Waits until something is asked for that never comes, as an unreachable server would have it.
  void hang() const {
    cancelled.wait(false);
    throw RemoteError(RemoteError::Cause::cancelled, "cancelled");
  }

 private:
  static std::string name(std::string_view key) {
    const auto project = key.find('/');
    const auto run = key.find('/', project + 1);
    return std::string(key.substr(run + 1));
  }
  void ask(const std::string& call) {
    ++asked;
    if (cancelled) throw RemoteError(RemoteError::Cause::cancelled, "cancelled");
    before(call);
  }
};

/// Lets the mirror have the store while the test keeps it.
class Borrowed final : public ObjectStore {
 public:
  explicit Borrowed(ObjectStore& store) : store_(store) {}
  std::string url(std::string_view key) const override { return store_.url(key); }
  void put(std::string_view key, const std::filesystem::path& file) override { store_.put(key, file); }
  void get(std::string_view key, const std::filesystem::path& file) override { store_.get(key, file); }
  std::optional<RemoteObject> find(std::string_view key) override { return store_.find(key); }
  std::vector<RemoteObject> list(std::string_view prefix) override { return store_.list(prefix); }
  void remove(std::string_view key) override { store_.remove(key); }
  void cancel() override { store_.cancel(); }

 private:
  ObjectStore& store_;
};

inline constexpr const char* sample_key = "project/cnn-1";

/// A run's folder with the files that each has.
struct SampleRun {
  TempFolder folder;
  RunPaths paths{folder / "cnn-1"};

  SampleRun() {
    std::filesystem::create_directories(paths.checkpoints());
    write("config.yaml", "name: cnn\n");
    write("steps.jsonl", "{}\n");
    write("history.json", "{}");
    write("log.txt", "begun\n");
    write("run.lock", "pid");
  }
  void write(const std::string& name, const std::string& text) const {
    std::filesystem::create_directories((paths.root / name).parent_path());
    write_file_atomic(paths.root / name, text);
  }
  static std::string checkpoint_name(int step) {
    std::string digits = std::to_string(step);
    return "checkpoints/step-" + std::string(8 - digits.size(), '0') + digits + ".h5";
  }
  void checkpoint(int step, bool best = false) const {
    const std::string name = checkpoint_name(step);
    write(name, "state " + std::to_string(step));
    const auto file = std::filesystem::path(name).filename();
    replace_symlink(file, paths.checkpoints() / "last.h5");
    if (best) replace_symlink(file, paths.checkpoints() / "best.h5");
  }
  void remove(const std::string& name) const { std::filesystem::remove(paths.root / name); }
  /// What a copy of it is, but for the marker.
  std::map<std::string, std::string> files() const {
    std::map<std::string, std::string> files;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(paths.root)) {
      const std::string name = entry.path().lexically_relative(paths.root).string();
      if (entry.symlink_status().type() != std::filesystem::file_type::regular) continue;
      if (name == "run.lock" || name == "remote.json" || name == "remote.lock") continue;
      files[name] = read_file(entry.path());
    }
    return files;
  }
};

/// The copy in a store, but for the marker.
inline std::map<std::string, std::string> copy_in(const FakeStore& store, const std::string& key = sample_key) {
  std::map<std::string, std::string> files;
  for (const auto& [name, bytes] : store.objects)
    if (name.starts_with(key + "/") && name != key + "/copy.json") files[name.substr(key.size() + 1)] = bytes;
  return files;
}

}  // namespace trainctl::testing
