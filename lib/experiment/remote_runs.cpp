#include "experiment/remote_runs.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <iterator>
#include <thread>

#include "base/byte_count.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/signals.h"
#include "base/text.h"
#include "experiment/copies.h"
#include "experiment/modules.h"
#include "remote/copier.h"
#include "remote/remote_url.h"
#include "schema/yaml.h"
#include "store/checkpoint_store.h"

namespace trainctl {
namespace fs = std::filesystem;
namespace {

/// Has a stop signal end what a store is doing.
class CancelAtStop {
 public:
  explicit CancelAtStop(ObjectStore& store)
      : thread_([this, &store] {
          while (!over_ && !signals::stop_requested()) std::this_thread::sleep_for(std::chrono::milliseconds(50));
          if (!over_) store.cancel();
        }) {}
  ~CancelAtStop() {
    over_ = true;
    thread_.join();
  }
  CancelAtStop(const CancelAtStop&) = delete;
  CancelAtStop& operator=(const CancelAtStop&) = delete;

 private:
  std::atomic<bool> over_{false};
  std::thread thread_;
};

/// Work with a store that a stop signal ends.
template <typename Work>
auto stoppable(ObjectStore& store, const char* what, Work work) {
  const CancelAtStop cancel(store);
  try {
    return work();
  } catch (const RemoteError& error) {
    if (error.cause() != RemoteError::Cause::cancelled) throw;
    fail(ErrorKind::interrupted, "{}: stopped by signal {}; run the same again", what, signals::stop_signal());
  }
}

bool is_remote_override(const std::string& text) {
  return text.starts_with("remote.");
}

Component<Remote> remote_of_run(const RunPaths& paths, const Overrides& overrides) {
  Overrides concerning;
  std::ranges::copy_if(overrides.set, std::back_inserter(concerning.set), is_remote_override);
  std::ranges::copy_if(overrides.unset, std::back_inserter(concerning.unset), is_remote_override);
  ExperimentSpec spec = read_experiment(load_spec(paths.config(), concerning));
  if (!spec.remote || !*spec.remote)
    fail(ErrorKind::usage, "{}: the run has no `remote`; say with --to where it is to be copied", paths.root.string());
  return std::move(*spec.remote);
}

std::string key_of_run(const RunPaths& paths) {
  if (const auto record = CopyRecord::read(paths)) return record->key;
  return remote_key(read_experiment(load_spec(paths.config())), paths);
}

[[noreturn]] void fail_push(Copier& copier, const std::string& why) {
  const std::vector<std::string> missing = copier.missing();
  std::string names;
  for (const std::string& name : missing) names += "\n  " + name;
  fail(ErrorKind::environment, "{}: not there yet: {} of the run: {}; the same command goes on:{}", copier.url(),
       counted(missing.size(), "file"), why, names);
}

/// Rounds until all is there.
void push_all(Copier& copier) {
  double told_s = monotonic_seconds();
  const auto tell = [&] {
    if (monotonic_seconds() - told_s > 10.0) {
      told_s = monotonic_seconds();
      log::info("{} ({}) to go", counted(copier.left().files, "file"),
                human_bytes(static_cast<double>(copier.left().bytes)));
    }
    return signals::stop_requested();
  };
  std::string why;
  try {
    copier.claim();
    while (!signals::stop_requested()) {
      const Copier::Round round = copier.round(tell);
      if (round.complete || (!round.more && round.unreadable.empty())) return;  // what changes meanwhile is for later
      if (!round.unreadable.empty()) fail_push(copier, round.unreadable.front());
    }
    throw RemoteError(RemoteError::Cause::cancelled, "stopped");
  } catch (const RemoteError& error) {
    if (error.cause() == RemoteError::Cause::cancelled) throw;
    why = error.what();
  }
  fail_push(copier, why);
}

fs::path folder_for(const FetchOptions& options, const std::string& key) {
  return options.output ? *options.output : fs::path("runs") / key;
}

/// An existing folder must be of the run, and its newest checkpoint not older than the copy's.
void expect_as_far(const RemoteRun& run, const std::string& url, const fs::path& folder) {
  const RunPaths paths{folder};
  const std::unique_ptr<ObjectStore> store = run.remote->open();
  const RemoteRunState there =
      stoppable(*store, "resume", [&] { return look_at_run(*store, run.key, fs::temp_directory_path()); });
  const auto record = CopyRecord::read(paths);
  if (!record || !there.marker || record->run != there.marker->run)
    fail(ErrorKind::usage, "{}: is not the run at {}; name another folder with --output", folder.string(), url);
  const auto here = CheckpointStore(paths.checkpoints()).list();
  const std::int64_t step = here.empty() ? -1 : here.front().step;
  if (there.newest_step <= step) return;
  fail(ErrorKind::usage,
       "{}: is at step {}, and the copy at {} is at step {}; name another folder with --output to go on with the copy, "
       "or go on from here by `trainctl resume {}`",
       folder.string(), std::max<std::int64_t>(step, 0), url, there.newest_step, folder.string());
}

}  // namespace

Pushed push_run(const PushOptions& options) {
  const RunPaths paths{options.run};
  if (!fs::exists(paths.config()))
    fail(ErrorKind::data, "{}: is not a run directory: it holds no config.yaml", options.run.string());
  const Component<Remote> remote =
      options.to.empty() ? remote_of_run(paths, options.overrides) : remote_at(options.to, options.overrides);
  const std::unique_ptr<ObjectStore> store = remote->open();
  Copier copier(*store, paths, key_of_run(paths));
  return stoppable(*store, "push", [&] {
    push_all(copier);
    return Pushed{.url = copier.url(), .files = copier.copied()};
  });
}

FetchedRun fetch_run(const FetchOptions& options) {
  const RemoteRun run = remote_run_at(options.url, options.overrides);
  const std::unique_ptr<ObjectStore> store = run.remote->open();
  const fs::path folder = folder_for(options, run.key);
  return stoppable(*store, "fetch", [&] { return FetchedRun{folder, fetch_run(*store, run.key, folder)}; });
}

ToResume run_to_resume(const FetchOptions& options) {
  const RemoteRun run = remote_run_at(options.url, options.overrides);
  const fs::path folder = folder_for(options, run.key);
  if (fs::exists(folder)) {
    expect_as_far(run, options.url, folder);
    log::info("{}: is here already, at least as far as {}", folder.string(), options.url);
  } else {
    const FetchedRun fetched = fetch_run(options);
    log::info("fetched {}: {}, {}", options.url, counted(fetched.what.files, "file"),
              human_bytes(static_cast<double>(fetched.what.bytes)));
  }
  ToResume resume{.run = folder, .overrides = options.overrides};
  if (load_spec(RunPaths{folder}.config()).find("remote")) return resume;
  std::erase_if(resume.overrides.set, is_remote_override);
  std::erase_if(resume.overrides.unset, is_remote_override);
  resume.overrides.set.push_back("remote=" + to_yaml_flow(run.remote.write()));
  return resume;
}

}  // namespace trainctl
