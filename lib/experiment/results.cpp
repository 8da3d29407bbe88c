#include "experiment/results.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "experiment/evaluate.h"
#include "experiment/modules.h"
#include "results/results_writer.h"
#include "store/checkpoint_store.h"

namespace trainctl {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view step_folder = "step-";

/// The name of weights that `results.weights` asks for beside the checkpoint that holds them.
std::string weights_of(const ExperimentSpec& spec) {
  const std::string named = spec.results->weights ? spec.results->weights->name : std::string();
  const bool of_checkpoint = named.empty() || named == ResultsSpec::best || named == ResultsSpec::last;
  return of_checkpoint ? spec.trainer.evaluate.name : named;
}

/// The results of a checkpoint that `folder` lacks, for each split.
void make_missing(const RunPaths& paths, const ExperimentSpec& spec, const CheckpointStore::File& checkpoint,
                  const fs::path& folder, const std::string& device) {
  if (fs::exists(folder)) remove_temporaries(folder);  // of a process that was killed
  const std::string weights = weights_of(spec);
  for (const std::string& split : spec.results->splits) {
    if (ResultsWriter::exists(folder, split, *spec.results, weights, checkpoint.step)) continue;
    EvaluateOptions options;
    options.target = checkpoint.path;
    options.split = split;
    options.weights = weights;
    options.device = device;
    options.config = paths.config();
    options.output = folder;
    const EvaluateResult result = evaluate(options);
    log::info("results of '{}' with the weights of step {}: {}", split, result.step,
              ResultsWriter::json_path(folder, split).string());
  }
}

}  // namespace

void make_results(const RunPaths& paths, const std::string& device) {
  const ExperimentSpec spec = read_experiment(load_spec(paths.config()));
  if (!spec.results) return;
  const std::string weights = spec.results->weights ? spec.results->weights->name : std::string();
  const CheckpointStore store(paths.checkpoints());
  const bool has_best = spec.checkpoint && spec.checkpoint->keep.best;
  auto file = weights == ResultsSpec::best || (weights.empty() && has_best) ? store.best() : store.last();
  if (!file && has_best) {
    log::warn("{}: no checkpoint was the best; results are of the last", paths.root.string());
    file = store.last();
  }
  if (file) make_missing(paths, spec, *file, paths.results(), device);
}

ResultsObserver::ResultsObserver(const ExperimentSpec& spec, const RunPaths& paths, std::string device, Observer& inner)
    : spec_(spec), paths_(paths), device_(std::move(device)), inner_(inner) {}

void ResultsObserver::started(const Schedule& schedule, const Position& position) {
  if (spec_.results && spec_.results->every) every_ = std::max<std::int64_t>(1, schedule.steps(*spec_.results->every));
  std::error_code error;
  std::vector<fs::path> later;
  for (fs::directory_iterator it(paths_.results(), error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    std::int64_t step = 0;
    if (!name.starts_with(step_folder)) continue;
    const char* end_of_name = name.data() + name.size();
    const auto [stop, fault] = std::from_chars(name.data() + step_folder.size(), end_of_name, step);
    if (fault == std::errc() && stop == end_of_name && step > position.step) later.push_back(it->path());
  }
  for (const fs::path& folder : later) fs::remove_all(folder, error);
  inner_.started(schedule, position);
}

void ResultsObserver::results_due(std::int64_t step) {
  try {
    // Older ones may have failed.
    for (const CheckpointStore::File& file : CheckpointStore(paths_.checkpoints()).list()) {
      if (file.step > step || file.step % every_ != 0) continue;
      make_missing(paths_, spec_, file, paths_.results() / fmt::format("{}{:08}", step_folder, file.step), device_);
    }
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::interrupted) return;  // training stops next, and a resume makes them
    log::error("results of step {} not made: {}; training goes on", step, error.what());
  }
  inner_.results_due(step);
}

}  // namespace trainctl
