// Copies a run's files to a store, round by round.
#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <vector>

#include "remote/copy_record.h"
#include "remote/object_store.h"

namespace trainctl {

/// Another run, or another folder of this one that has gone on, has the place where copies should go.
class PlaceTaken : public Error {
 public:
  explicit PlaceTaken(const std::string& message) : Error(ErrorKind::usage, message) {}
};

/// Brings a place in a store to what a run's folder holds. A round puts what is new or changed, in an order in which
/// what is there can be resumed from at any moment:
///   1. what a checkpoint needs to be as far as itself (steps.jsonl, events.jsonl) and what never changes;
///   2. the newest checkpoint, the best one, and one of the others, newest first: what retention lets go before its
///      turn is never sent;
///   3. everything else;
///   4. then what is gone here is removed there, unless a newer or better checkpoint has not arrived.
/// Only objects that this run has put are ever removed. For one thread; left() is for any.
class Copier {
 public:
  /// What is not there yet.
  struct Left {
    std::size_t files = 0;
    std::uint64_t bytes = 0;
  };
  struct Round {
    bool complete = false;                ///< the place holds what the folder holds
    bool more = false;                    ///< checkpoints are left for the next round
    std::vector<std::string> unreadable;  ///< files of the run that could not be read, with the reason
  };

  /// `key`: where the run lies in the store, unless its record says so already.
  Copier(ObjectStore& store, const RunPaths& paths, const std::string& key);

  /// Where the copy is.
  std::string url() const { return store_.url(record_.key); }
  /// Makes the place this folder's. PlaceTaken if it is another run's, or if another folder of this run has brought a
  /// newer checkpoint there. Writes nothing to the run's folder that stays.
  void claim();
  /// One round, after claim(). `leave` is asked between objects. A RemoteError ends the round; PlaceTaken if the place
  /// has become another folder's since; an environment Error if another process copies this run now.
  Round round(const std::function<bool()>& leave);
  /// How many objects were put so far.
  std::size_t copied() const { return copied_; }
  Left left() const { return {left_files_, left_bytes_}; }
  /// Names of what is not there yet.
  std::vector<std::string> missing();

 private:
  /// The checkpoints that a copy must hold to be of use, by step; -1: none.
  struct Needed {
    std::int64_t newest = -1;
    std::int64_t best = -1;
  };
  std::string key(std::string_view name) const { return record_.key + "/" + std::string(name); }
  CopyRecord::Place& place() { return record_.places[url()]; }
  std::optional<CopyMarker> read_marker();
  void write_marker();
  /// Takes up what another process may have noted since.
  void reload();
  void expect_marker();
  std::vector<const RunFile*> due(const std::vector<RunFile>& files);
  Needed needed(const std::vector<RunFile>& files) const;
  void put(const RunFile& file, Round& round);
  void put_all(const std::vector<const RunFile*>& due, const Needed& needed, const std::function<bool()>& leave,
               Round& round);
  /// Names of what the place holds and the folder does not, but for the checkpoints that are needed.
  std::vector<std::string> gone(const std::vector<RunFile>& files, const Needed& needed);

  ObjectStore& store_;
  RunPaths paths_;
  CopyRecord record_;
  std::int64_t began_at_ = -1;  ///< the newest checkpoint before anything that this process has done
  std::size_t copied_ = 0;
  bool claimed_now_ = false;  ///< the record holds what claim() found
  std::atomic<std::size_t> left_files_{0};
  std::atomic<std::uint64_t> left_bytes_{0};
};

}  // namespace trainctl
