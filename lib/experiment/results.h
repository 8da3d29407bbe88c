// `results` of a run: what its config says is made of the weights, when it is finished and while it goes on.
#pragma once

#include <filesystem>
#include <string>

#include "experiment/run.h"

namespace trainctl {

/// Makes the results of a finished run that are not there yet for its weights and its config, by a session of its own.
/// Nothing where the config has no `results`.
void make_results(const RunPaths& paths, const std::string& device);

/// Watches a run for another observer, and makes the results that `results.every` asks for, in results/step-<step>, by
/// a session of its own beside the one that trains. Failures are logged, training goes on, and what is missing is made
/// with the next ones where its checkpoint is still there.
class ResultsObserver final : public Observer {
 public:
  /// All outlive the observer.
  ResultsObserver(const ExperimentSpec& spec, const RunPaths& paths, std::string device, Observer& inner);

  /// Removes results of later steps: the run goes on from an older checkpoint.
  void started(const Schedule& schedule, const Position& position) override;
  void step(const Position& position) override { inner_.step(position); }
  void logged(const StepRecord& record) override { inner_.logged(record); }
  void validating(std::int64_t done, std::int64_t samples) override { inner_.validating(done, samples); }
  void reported(const HistoryRecord& record, bool is_best) override { inner_.reported(record, is_best); }
  void saved(const std::filesystem::path& path) override { inner_.saved(path); }
  void results_due(std::int64_t step) override;

 private:
  const ExperimentSpec& spec_;
  const RunPaths& paths_;
  std::string device_;
  Observer& inner_;
  std::int64_t every_ = 1;  ///< steps
};

}  // namespace trainctl
