// The folder of one run: where its files are, who may write them, and what is known of how it was started.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"

namespace trainctl {

/// The files of a run.
struct RunPaths {
  std::filesystem::path root;

  std::filesystem::path config() const { return root / "config.yaml"; }
  std::filesystem::path original_config() const { return root / "config.orig.yaml"; }
  std::filesystem::path meta() const { return root / "meta.json"; }
  std::filesystem::path history() const { return root / "history.json"; }
  std::filesystem::path steps() const { return root / "steps.jsonl"; }
  std::filesystem::path log() const { return root / "log.txt"; }
  std::filesystem::path lock() const { return root / "run.lock"; }
  std::filesystem::path checkpoints() const { return root / "checkpoints"; }
  /// The numbers of a split's samples, where it has a subset; what `ids_file` reads.
  std::filesystem::path samples(std::string_view split) const {
    return root / "samples" / (std::string(split) + ".txt");
  }
  std::filesystem::path results() const { return root / "results"; }
  /// Copies of the files that `save_source` names.
  std::filesystem::path source() const { return root / "source"; }
  /// What the n-th start (from 1) found changed since the commit.
  std::filesystem::path patch(std::size_t start) const {
    return root / (start == 1 ? "uncommitted.patch" : "uncommitted-" + std::to_string(start) + ".patch");
  }
  std::filesystem::path tensorboard() const { return root / "tensorboard"; }
};

/// What the caller knows of a start; time, pid, host, git commit and batch-system variables are found by record_start.
struct StartInfo {
  std::string command;  ///< "train", "resume"
  std::vector<std::string> argv;
  std::string version;
  std::string build;
  std::string device;
  int threads = 0;
  std::map<std::string, std::string> libraries;  ///< name to version
  std::map<std::string, std::string> modules;    ///< the user's own: path to SHA-256
  std::map<std::string, std::string> sources;    ///< files copied to RunPaths::source(): path to SHA-256
  bool save_diff = false;                        ///< whether what has changed since the commit is kept
  std::int64_t from_step = 0;
};

/// How a run stands by its meta.json. One that is damaged counts as unfinished: its checkpoints tell the truth.
struct RunStatus {
  std::string status;            ///< running, finished, interrupted, diverged, failed; empty before the first start
  std::optional<int> exit_code;  ///< of the last start, once it ended
  int starts = 0;
  std::map<std::string, std::string> modules = {};  ///< of the last start: path to SHA-256
  bool locked = false;                              ///< a process works on it now
  bool finished() const { return status == "finished"; }
};

/// A run directory that this process holds the lock of. One that was created and never given its config is removed
/// again.
class RunDirectory {
 public:
  /// Creates <root>/<project>/<name>-<n> with the first free n, atomically. Throws a config Error on a project or name
  /// that is not a plain file name, an environment Error if the folder cannot be written.
  static RunDirectory allocate(const std::filesystem::path& root, std::string_view project, std::string_view name);
  /// Takes `folder` itself, which must be absent or empty (what a start killed before its config left does not count);
  /// otherwise a usage Error says what to do.
  static RunDirectory create_at(const std::filesystem::path& folder);
  /// Opens an existing run to go on with it. A data Error if there is none, an environment Error if another process
  /// holds it.
  static RunDirectory open(const std::filesystem::path& folder);

  RunDirectory(RunDirectory&&) noexcept;
  RunDirectory& operator=(RunDirectory&&) = delete;
  ~RunDirectory();

  const RunPaths& paths() const { return paths_; }

  /// Writes both config files; from here on the directory stays.
  void write_config(std::string_view resolved, std::string_view original);
  /// Appends a start to meta.json; the status becomes running.
  void record_start(const StartInfo& info);
  /// Notes how the last start ended.
  void record_end(std::string_view status, int exit_code);

 private:
  /// What to take back if no config is ever written.
  enum class Provisional { nothing, files, folder };
  RunDirectory(RunPaths paths, Provisional provisional);

  RunPaths paths_;
  Provisional provisional_;
  FileLock lock_;
};

/// The runs of a project and name, newest (largest n) first: folders that hold a config, or that a process is about to
/// give one.
std::vector<std::filesystem::path> find_runs(const std::filesystem::path& root, std::string_view project,
                                             std::string_view name);

/// Reads how a run stands, without its lock.
RunStatus read_status(const RunPaths& paths);

}  // namespace trainctl
