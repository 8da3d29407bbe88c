// Between a session and a checkpoint.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "store/checkpoint.h"
#include "store/history.h"
#include "train/session.h"

namespace trainctl {

/// Where a run stands: all that a checkpoint needs beside the state's arrays.
struct Position {
  enum class Doing : std::uint8_t { train, validate };
  std::int64_t epoch = 0;    ///< epochs done
  std::int64_t step = 0;     ///< updates done
  std::int64_t batch = 0;    ///< training batches done: the index of all randomness
  std::int64_t offset = 0;   ///< samples used of the running epoch
  std::int64_t samples = 0;  ///< samples trained on since the start
  Doing doing = Doing::train;
  std::int64_t validated = 0;  ///< samples that an interrupted validation has gone through
};

/// What became of numbers that were not finite.
struct Health {
  std::int64_t cleared_step = 0;  ///< when the training sums were last set to zero
  std::int64_t uncounted = 0;     ///< samples of the epoch that a rollback took out of the sums
  std::int64_t skipped = 0;       ///< updates of the epoch that the last report knew as skipped
  std::int64_t lost = 0;          ///< updates of the run that rollbacks undid
  std::int64_t rollbacks = 0;
  std::int64_t rollback_to = -1;  ///< updates that the weights held to which the last rollback led
  std::int64_t rollbacks_to_it = 0;
  std::int64_t dead_from = 0;  ///< weights of so many updates or more, saved until `dead_until`, lead nowhere
  std::int64_t dead_until = -1;
};

/// The part of a run's state that lives on the host.
struct HostState {
  Position position;
  bool finished = false;  ///< nothing is left to do; `reason` says why
  std::string reason;
  std::vector<double> logged_sums;  ///< training sums at the last line of steps.jsonl
  std::int64_t logged_samples = 0;  ///< samples of the epoch at that line
  Health health;
  std::map<std::string, NamedValues> policies;

  std::string to_json() const;
  /// A data Error that begins with `source` if it is damaged.
  static HostState from_json(std::string_view text, std::string_view source);
};

/// What every checkpoint of this version says about itself.
struct SnapshotFacts {
  std::string experiment_yaml;
  std::string data_digest;
  std::string choices_json;  ///< implementations taken, for a resume
};

/// Saved state copied from the device, with everything else a checkpoint holds.
class Snapshot {
 public:
  explicit Snapshot(Session& session);
  /// The contents; arrays point into this object's memory and are valid until the next take().
  CheckpointContents take(const HostState& host, const History& history, const SnapshotFacts& facts);
  /// Whether every f32 number of the last take() is finite.
  bool finite() const;
  /// Writes a checkpoint's arrays to the session's state, after checking that they are the ones of this experiment.
  /// Sums of metrics that it does not hold begin at zero; false if it holds other ones than this experiment.
  bool restore(const CheckpointReader& reader);
  /// Only the arrays of the models in use, for evaluation and predictions; those that the average `weights` has from it
  /// ("model": none). A usage Error lists the averages there are.
  void restore_model(const CheckpointReader& reader, const std::string& weights);

 private:
  void restore_prefix(const CheckpointReader& reader, std::string_view prefix);

  Session& session_;
  std::vector<int> states_;
  std::vector<std::byte> memory_;
  std::vector<StoredArray> arrays_;
};

}  // namespace trainctl
