// The copies of a run in `remote`, from its start to its end.
#pragma once

#include <functional>
#include <memory>

#include "experiment/run.h"
#include "remote/mirror.h"

namespace trainctl {

/// Where a run lies in a store: "<project>/<name>-<n>".
std::string remote_key(const ExperimentSpec& spec, const RunPaths& paths);

/// Copies a run while it goes on, if its spec has `remote`; otherwise nothing.
class RunCopies {
 public:
  enum class Start : std::uint8_t { fresh, again };

  /// A fresh run makes its place in the store: what somebody has to act on first is thrown, before anything has run;
  /// where the store does not answer, training goes on. A run that is continued is only told of either.
  RunCopies(const ExperimentSpec& spec, const RunPaths& paths, Start start, Observer& observer);
  ~RunCopies();

  /// Passes on what it is told, and has copied what is new.
  Observer& observer() { return *observer_; }
  /// Works, then waits for what is not copied yet: after the end as long as `remote.wait` says, after a stop or a
  /// failure `remote.stop_wait`. What is missing then is told, with what to do; the result stands.
  RunResult until_copied(const std::function<RunResult()>& work);

 private:
  void wait(double seconds);

  RunPaths paths_;
  double wait_s_ = 0.0, stop_wait_s_ = 0.0;
  std::unique_ptr<Mirror> mirror_;
  std::unique_ptr<Observer> own_observer_;
  Observer* observer_;
};

}  // namespace trainctl
