// The training loop: epochs of updates, validation, policies, history, checkpoints; stops and resumes at any update.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "store/checkpoint_store.h"
#include "store/history.h"
#include "store/run_directory.h"
#include "store/steps_log.h"
#include "train/averaging.h"
#include "train/session.h"
#include "train/snapshot.h"

namespace trainctl {

/// What watches a run, to show it. Called often: step() after every update.
class Observer {
 public:
  virtual ~Observer() = default;
  /// Training begins or goes on.
  virtual void started(const Schedule&, const Position&) {}
  virtual void step(const Position&) {}
  /// A line for steps.jsonl was made.
  virtual void logged(const StepRecord&) {}
  virtual void validating(std::int64_t /*done*/, std::int64_t /*samples*/) {}
  virtual void reported(const HistoryRecord&, bool /*is_best*/) {}
  virtual void saved(const std::filesystem::path&) {}
  /// Results are due of the checkpoint of that step, which is saved. Called again when a run goes on from there.
  virtual void results_due(std::int64_t /*step*/) {}
};

/// How a run ended.
struct Outcome {
  bool finished = false;  ///< else it was interrupted, with its state saved
  std::string reason;
  HistoryRecord last;
};

/// Trains a session into a run directory. Exactly one trainer works on a run at a time.
class Trainer {
 public:
  /// `facts.data_digest` and `facts.choices_json` are filled in by the trainer.
  Trainer(Session& session, const RunPaths& paths, SnapshotFacts facts, Observer& observer);

  /// Begins a fresh run: initial weights, empty history.
  void begin();
  /// Takes up a checkpoint: state, position, policies, history; history.json and steps.jsonl are cut back to it.
  void resume(const CheckpointReader& reader);
  /// Trains until finished or stopped. Throws a diverged Error at NaN or infinity, an environment Error if the state
  /// cannot be saved at a stop.
  Outcome run();
  /// Tells policies of the last report, once it is saved as far as it will be. Telling them again does no harm.
  void announce();

  const HostState& host() const { return host_; }
  const History& history() const { return history_; }

 private:
  enum class Interrupt : std::uint8_t { none, stop, time };

  /// Updates until the epoch's end, a report, or an interrupt.
  Interrupt train_until_report();
  void update();
  void run_batch(Phase phase, std::int64_t samples, std::int64_t update_samples, int entry);
  /// Brings the values that policies drive at the update `step` to the programs.
  void set_driven(std::int64_t step);
  void log_step();
  /// Running statistics of the average that validation uses, or of all, at the end; false if interrupted.
  bool refresh_averages(bool all);
  /// Lets policies read what they add to the report that is due.
  void measure();
  /// Validation from its beginning; false if interrupted.
  bool validate();
  void report();
  void end_epoch();
  bool report_due() const;
  Interrupt interrupted() const;
  void save_if_due(bool improved);
  bool results_due() const;
  /// Tells that results are due, if they are and their checkpoint is there.
  void tell_results();
  /// Saves; `must` says whether a failure ends the run or is only logged.
  void save(bool improved, bool must);
  Outcome finish(std::string reason);
  Outcome stop(Interrupt why);
  /// Ends a run whose numbers are no longer finite; nothing of them is saved.
  [[noreturn]] void diverged(std::string reason);
  /// Takes the newest checkpoint's state if the spec says so, else ends the run as diverged.
  void not_finite(const std::string& what);
  /// Whether the training sums are finite; if they were not, the run goes on from a checkpoint's weights or has ended.
  bool check_losses();
  bool losses_finite() const;
  /// Ends a run that does nothing but skip updates.
  void check_skipped();
  void clear_training_sums();

  Session& session_;
  RunPaths paths_;
  SnapshotFacts facts_;
  Observer& observer_;
  Averaging averaging_;
  Snapshot snapshot_;
  CheckpointStore checkpoints_;
  std::optional<StepsLog> steps_log_;
  History history_;
  HostState host_;
  Requests requests_;
  std::vector<double> validation_sums_;
  std::int64_t saved_step_ = -1;
  bool accumulated_ = false;  ///< the last update was made of several batches
  bool improved_ = false;     ///< the last report was the best so far
  double started_s_ = 0.0;
  double last_save_s_ = 0.0;
  double train_s_ = 0.0;  ///< wall time of training since the last report
  double validate_s_ = 0.0;
  std::vector<int> driven_slots_;
  int position_slot_ = -1, step_slot_ = -1, weight_slot_ = -1;
};

}  // namespace trainctl
