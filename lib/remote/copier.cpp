#include "remote/copier.h"

#include <algorithm>
#include <utility>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "store/checkpoint_store.h"
#include "store/provenance.h"

namespace trainctl {
namespace fs = std::filesystem;
namespace {

std::int64_t newest_step(const std::vector<RemoteObject>& objects, std::size_t prefix) {
  std::int64_t newest = -1;
  for (const RemoteObject& object : objects) {
    if (const auto step = checkpoint_step(std::string_view(object.key).substr(prefix)))
      newest = std::max(newest, *step);
  }
  return newest;
}

}  // namespace

Copier::Copier(ObjectStore& store, const RunPaths& paths, const std::string& key) : store_(store), paths_(paths) {
  record_ = CopyRecord::read(paths).value_or(CopyRecord::fresh(key));
  if (const auto here = CheckpointStore(paths.checkpoints()).list(); !here.empty()) began_at_ = here.front().step;
}

std::optional<CopyMarker> Copier::read_marker() {
  const std::string name = key(CopyRecord::marker_name);
  const TemporaryFile file(paths_.root / CopyRecord::marker_name);
  try {
    store_.get(name, file.path());
  } catch (const RemoteError& error) {
    if (error.cause() == RemoteError::Cause::missing) return {};
    throw;
  }
  return CopyMarker::from_json(read_file(file.path()), store_.url(name));
}

void Copier::write_marker() {
  const TemporaryFile file(paths_.root / CopyRecord::marker_name);
  const CopyMarker marker{.run = record_.run, .copy = record_.copy, .host = host_name(), .since = utc_timestamp()};
  write_file_atomic(file.path(), marker.to_json());
  store_.put(key(CopyRecord::marker_name), file.path());
}

void Copier::claim() {
  const std::vector<RemoteObject> objects = store_.list(record_.key + "/");
  const auto marker = read_marker();
  const bool ours = marker && marker->run == record_.run;
  const bool only_marker = objects.empty() || (objects.size() == 1 && marker);
  if (!ours && !only_marker) {
    throw PlaceTaken(fmt::format(
        "{}: holds another run{}, which is not written over; choose another name, output.project or place in `remote`, "
        "or go on with that run by `trainctl resume {}`",
        url(), marker ? fmt::format(" (from {}, since {})", marker->host, marker->since) : "", url()));
  }
  const std::size_t prefix = record_.key.size() + 1;
  if (ours && marker->copy != record_.copy) {
    const std::int64_t there = newest_step(objects, prefix);
    if (there > began_at_) {
      throw PlaceTaken(
          fmt::format("{}: this run has gone on elsewhere ({}, since {}), to step {}; go on with that by `trainctl "
                      "resume {} --output "
                      "DIR`, or copy this one to another place",
                      url(), marker->host, marker->since, there, url()));
    }
    log::info("{}: taken over from {}", url(), marker->host);
  }
  if (!ours || marker->copy != record_.copy) write_marker();

  // What is told of the place is what it holds, whatever happened to it or to the record.
  std::map<std::string, FileStamp> found;
  for (const RemoteObject& object : objects) {
    const std::string name = object.key.substr(prefix);
    const auto known = place().files.find(name);
    if (known != place().files.end() && known->second.bytes == object.bytes)
      found.insert(*known);
    else if (checkpoint_step(name))
      found[name] = FileStamp{.bytes = object.bytes};  // of a process that was killed before it noted it
  }
  place().files = std::move(found);
  claimed_now_ = true;
}

void Copier::reload() {
  if (std::exchange(claimed_now_, false)) return;
  if (auto record = CopyRecord::read(paths_); record && record->run == record_.run) record_ = std::move(*record);
}

void Copier::expect_marker() {
  const auto marker = read_marker();
  if (!marker) return claim();
  if (marker->run == record_.run && marker->copy == record_.copy) return;
  throw PlaceTaken(fmt::format("{}: {} has taken it over ({}, since {}); nothing more is copied there from here", url(),
                               marker->run == record_.run ? "another folder of this run" : "another run", marker->host,
                               marker->since));
}

std::vector<const RunFile*> Copier::due(const std::vector<RunFile>& files) {
  std::vector<const RunFile*> due;
  std::uint64_t bytes = 0;
  for (const RunFile& file : files) {
    const auto known = place().files.find(file.name);
    if (known != place().files.end() && known->second == file.stamp) continue;
    due.push_back(&file);
    bytes += file.stamp.bytes;
  }
  left_files_ = due.size();
  left_bytes_ = bytes;
  return due;
}

Copier::Needed Copier::needed(const std::vector<RunFile>& files) const {
  Needed needed;
  for (const RunFile& file : files) needed.newest = std::max(needed.newest, checkpoint_step(file.name).value_or(-1));
  if (const auto best = CheckpointStore(paths_.checkpoints()).best()) needed.best = best->step;
  return needed;
}

void Copier::put(const RunFile& file, Round& round) {
  const fs::path path = paths_.root / file.name;
  const auto stamp = stamp_of(path);  // of what is sent or of something older, so that a change is never missed
  if (!stamp) return;
  try {
    store_.put(key(file.name), path);
  } catch (const RemoteError&) {
    // It may be there all the same, and is to be taken away when it is let go here.
    if (checkpoint_step(file.name)) place().files[file.name] = FileStamp{.bytes = stamp->bytes};
    if (stamp_of(path)) throw;
    return;  // let go meanwhile
  } catch (const Error& error) {
    if (stamp_of(path)) round.unreadable.emplace_back(error.what());
    return;
  }
  place().files[file.name] = *stamp;
  ++copied_;
  if (left_files_ > 0) --left_files_;
  left_bytes_ -= std::min<std::uint64_t>(left_bytes_, file.stamp.bytes);
  if (checkpoint_step(file.name)) record_.write(paths_);
}

void Copier::put_all(const std::vector<const RunFile*>& due, const Needed& needed, const std::function<bool()>& leave,
                     Round& round) {
  std::vector<const RunFile*> before, checkpoints, after;
  for (const RunFile* file : due)
    (checkpoint_step(file->name) ? checkpoints : precedes_checkpoints(file->name) ? before : after).push_back(file);
  std::ranges::sort(checkpoints, std::ranges::greater(), [&](const RunFile* file) {
    const std::int64_t step = *checkpoint_step(file->name);
    return std::pair(step == needed.newest ? 2 : step == needed.best ? 1 : 0, step);
  });
  // Of those that are not needed one a round: by the next, newer ones may be there.
  std::size_t urgent = 0;
  while (urgent < checkpoints.size()) {
    const std::int64_t step = *checkpoint_step(checkpoints[urgent++]->name);
    if (step != needed.newest && step != needed.best) break;
  }
  checkpoints.resize(urgent);
  for (const auto* files : {&before, &checkpoints, &after}) {
    for (const RunFile* file : *files) {
      if (leave()) return;
      put(*file, round);
    }
  }
}

std::vector<std::string> Copier::gone(const std::vector<RunFile>& files, const Needed& needed) {
  std::vector<std::string> gone;
  for (const auto& [name, stamp] : place().files) {
    if (std::ranges::binary_search(files, name, {}, &RunFile::name)) continue;
    const auto step = checkpoint_step(name);
    if (!step || (*step != needed.newest && *step != needed.best)) gone.push_back(name);
  }
  return gone;
}

Copier::Round Copier::round(const std::function<bool()>& leave) {
  const FileLock lock(paths_.root / CopyRecord::lock_name);
  reload();
  Round round;
  const std::vector<RunFile> files = run_files(paths_);
  const Needed needed = this->needed(files);
  const std::vector<const RunFile*> due = this->due(files);
  if (!due.empty() || !gone(files, needed).empty()) {
    try {
      expect_marker();
      record_.write(paths_);  // whose this place is, before anything is in it
      put_all(due, needed, leave, round);
      const auto arrived = [&](std::int64_t step) {
        return step < 0 || std::ranges::any_of(place().files, [&](const auto& file) {
                 return checkpoint_step(file.first) == step && file.second.inode != 0;
               });
      };
      if (arrived(needed.newest) && arrived(needed.best) && round.unreadable.empty() && !leave()) {
        for (const std::string& name : gone(run_files(paths_), needed)) {
          store_.remove(key(name));
          place().files.erase(name);
        }
      }
    } catch (...) {
      missing();
      record_.write(paths_);
      throw;
    }
  }
  const std::vector<std::string> left = missing();
  round.complete = left.empty();
  round.more = round.unreadable.empty() &&
               std::ranges::any_of(left, [](const std::string& name) { return checkpoint_step(name).has_value(); });
  if (!due.empty()) record_.write(paths_);
  return round;
}

std::vector<std::string> Copier::missing() {
  const std::vector<RunFile> files = run_files(paths_);
  place().missing.clear();
  for (const RunFile* file : due(files)) place().missing.push_back(file->name);
  return place().missing;
}

}  // namespace trainctl
