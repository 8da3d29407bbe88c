#include "experiment/results.h"

#include "base/file.h"
#include "base/log.h"
#include "experiment/evaluate.h"
#include "experiment/modules.h"
#include "results/results_writer.h"
#include "store/checkpoint_store.h"

namespace trainctl {

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
  if (!file) return;
  if (std::filesystem::exists(paths.results())) remove_temporaries(paths.results());  // of a process that was killed
  const bool named = !weights.empty() && weights != ResultsSpec::best && weights != ResultsSpec::last;
  for (const std::string& split : spec.results->splits) {
    if (ResultsWriter::exists(paths.results(), split, file->step)) continue;
    EvaluateOptions options;
    options.target = file->path;
    options.split = split;
    if (named) options.weights = weights;
    options.device = device;
    options.config = paths.config();
    options.output = paths.results();
    const EvaluateResult result = evaluate(options);
    log::info("results of '{}' with the weights of step {}: {}", split, result.step,
              ResultsWriter::json_path(paths.results(), split).string());
  }
}

}  // namespace trainctl
