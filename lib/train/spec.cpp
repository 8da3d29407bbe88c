#include "train/spec.h"

#include <algorithm>

#include "base/text.h"

namespace trainctl {

Schema<SplitSpec> SplitSpec::schema() {
  return Schema<SplitSpec>("Samples and how they become batches.")
      .required("dataset", &SplitSpec::dataset, "Where the samples come from.")
      .field("subset", &SplitSpec::subset, "Which of the samples are used; by default all.")
      .field("transforms", &SplitSpec::transforms,
             "What happens to `input`, in order; bytes have become x / 255 before.")
      .required("batch_size", &SplitSpec::batch_size, between(1, 1 << 24), unit("samples"),
                "Samples in a batch; of a split that is not trained on at most those that it has.")
      .field("shuffle", &SplitSpec::shuffle, "Whether each epoch visits the samples in a new order.")
      .field("sampler", &SplitSpec::sampler,
             "In which order an epoch visits the samples, and how many of them; by default as `shuffle` says.")
      .field("drop_last", &SplitSpec::drop_last, "Whether an epoch leaves out a last batch that is not full.")
      .example("{dataset: {type: mnist, root: data, split: train}, batch_size: 128, shuffle: true}")
      .example("{dataset: {type: image_folder, root: scans}, batch_size: 32, sampler: weighted}");
}

void SplitSpec::check(Diagnostics& diagnostics, const Node& node) const {
  if (sampler && shuffle) diagnostics.error(node, "'sampler' gives the order; remove 'shuffle', or the sampler.");
}

Schema<DataSpec> DataSpec::schema() {
  return Schema<DataSpec>("Training, validation and test data.")
      .required("train", &DataSpec::train, "What is trained on.")
      .field("val", &DataSpec::val, "What is validated on while training; without it there are no val/ values.")
      .field("test", &DataSpec::test, "Held back for `trainctl eval --split test`.")
      .field("standardize", &DataSpec::standardize,
             "Fields that get mean 0 and deviation 1 before any transform, by the training samples' numbers in every "
             "split. Metrics and predictions of a standardised target are in its own unit, the loss is not.")
      .field("memory_limit", &DataSpec::memory_limit, at_least(0.0), unit("MiB"),
             "A larger data set is not kept in memory: its batches are read ahead of their use. By default half of the "
             "machine's memory, and on a GPU what its own has room for.",
             resume(Resume::safe))
      .field("threads", &DataSpec::threads, between(0, 1024),
             "Threads that read a data set that is not kept in memory; 0: as many as train.", resume(Resume::safe));
}

const SplitSpec* DataSpec::find(std::string_view name) const {
  if (name == "train") return &train;
  if (name == "val" && val) return &*val;
  if (name == "test" && test) return &*test;
  return nullptr;
}

Schema<TrainerSpec> TrainerSpec::schema() {
  return Schema<TrainerSpec>("How long training goes on, how often it reports, and on what it runs.")
      .required("max", &TrainerSpec::max, "When training is finished.", resume(Resume::safe))
      .field("device", &TrainerSpec::device, one_of({"auto", "cpu", "cuda"}),
             "Where it runs; auto takes a GPU where one is found.", resume(Resume::safe))
      .field("threads", &TrainerSpec::threads, between(0, 1024),
             "CPU threads; 0 takes the cores that the process may use. A run keeps the number it began with.",
             resume(Resume::forced))
      .field(
          "precision", &TrainerSpec::precision,
          "Arithmetic of the step. fp32: float32 throughout. tf32 (GPU): matrix products and convolutions round their "
          "operands to 10 bits of mantissa. bf16 (GPU): activations are bfloat16; sums, norms, parameters and losses "
          "stay float32.",
          resume(Resume::forced))
      .field("fast_math", &TrainerSpec::fast_math, resume(Resume::forced),
             "Lets 3x3 convolutions use Winograd's algorithm: faster, with rounding errors some ten times larger.")
      .field("deterministic", &TrainerSpec::deterministic, resume(Resume::forced),
             "Whether every run gives the same bits. false (GPU): sums may be added in any order, and for convolutions "
             "and matrix products the fastest of several implementations is found by trying when training begins; a "
             "resume takes the same ones.")
      .field("accumulate", &TrainerSpec::accumulate, between(1, 1 << 20), "Batches whose gradients make one update.",
             unit("batches"))
      .field("clip_grad_norm", &TrainerSpec::clip_grad_norm, above(0.0),
             "Upper bound of the norm of all gradients together.", resume(Resume::forced))
      .field("clip_grad_value", &TrainerSpec::clip_grad_value, above(0.0), "Upper bound of each gradient's magnitude.",
             resume(Resume::forced))
      .field(
          "on_nan", &TrainerSpec::on_nan, resume(Resume::safe),
          "When a loss or a gradient is not finite. stop: training ends, with exit code 5. skip: that update changes "
          "nothing and counts for nothing; training ends if a whole report's updates were skipped. rollback: the "
          "newest checkpoint's weights are taken and training goes on with the batches that follow; when three "
          "in a row have not helped, the one before it; with none left training ends.")
      .field("validate_every", &TrainerSpec::validate_every, "How often data.val is gone through.",
             resume(Resume::forced))
      .field("evaluate", &TrainerSpec::evaluate,
             "Weights that validation, and so `best`, and `eval` use: `model`, or the name of one of `averages`.",
             resume(Resume::forced))
      .field("log_every", &TrainerSpec::log_every, "How often values go to steps.jsonl and the terminal.",
             resume(Resume::safe))
      .field("time_limit", &TrainerSpec::time_limit, "Wall time after which the run saves its state and exits with 85.",
             resume(Resume::safe))
      .example("{max: 20 epochs, clip_grad_norm: 1.0}");
}

Schema<BestSpec> BestSpec::schema() {
  return Schema<BestSpec>("The checkpoint that is best by a reported value.")
      .required("monitor", &BestSpec::monitor, non_empty(), "Name of a reported value, such as val/accuracy.")
      .required("mode", &BestSpec::mode, "Whether less (min) or more (max) is better.")
      .example("{monitor: val/accuracy, mode: max}");
}

Schema<KeepSpec> KeepSpec::schema() {
  return Schema<KeepSpec>("Which checkpoints stay.")
      .field("last", &KeepSpec::last, at_least(1), "How many of the newest.")
      .field("all", &KeepSpec::all, "Whether every one stays, however many there are.")
      .field("best", &KeepSpec::best, "Keeps the best one too, saved as soon as it is measured.");
}

Schema<CheckpointSpec> CheckpointSpec::schema() {
  return Schema<CheckpointSpec>("When the state is saved. A signal, a time limit and the end always save.")
      .field("every", &CheckpointSpec::every, non_empty(),
             "Progress or wall time between checkpoints; several may be listed.", resume(Resume::safe))
      .field("keep", &CheckpointSpec::keep, "Which checkpoints stay.", resume(Resume::safe))
      .example("{every: [1 epoch, 30 min], keep: {last: 2, best: {monitor: val/accuracy, mode: max}}}");
}

Schema<OutputSpec> OutputSpec::schema() {
  return Schema<OutputSpec>("Where runs are written: <root>/<project>/<name>-<n>.")
      .field("root", &OutputSpec::root, "Folder of all projects.")
      .field("project", &OutputSpec::project, non_empty(), "Folder of this project's runs.");
}

void ExperimentSpec::check(Diagnostics& diagnostics, const Node& node) const {
  if (!model && models.items.empty()) diagnostics.error(node, "missing key 'model': the layers.");
  if (model && !models.items.empty())
    diagnostics.error(node, "both 'model' and 'models' are given; put the one among the others.");
  if (!optimizer && optimizers.items.empty())
    diagnostics.error(node, "missing key 'optimizer': how parameters follow their gradients.");
  if (optimizer && !optimizers.items.empty())
    diagnostics.error(node, "both 'optimizer' and 'optimizers' are given; put the one among the others.");
  check_averages(diagnostics);
  if (results) check_results(diagnostics);
}

void ExperimentSpec::check_results(Diagnostics& diagnostics) const {
  const Diagnostics::Scope scope(diagnostics, "results");
  for (const std::string& split : results->splits) {
    if ((split == "val" || split == "test") && !data.find(split))
      diagnostics.error(results->packages.begin()->second.source(),
                        fmt::format("there is no data.{0}; give it, or leave '{0}' out of results.splits.", split));
  }
  if (!results->weights) return;
  const Reference& weights = *results->weights;
  const Diagnostics::Scope inner(diagnostics, "weights");
  std::vector<std::string> names{ResultsSpec::best, ResultsSpec::last, model_weights};
  for (const auto& [name, average] : averages) names.push_back(name);
  if (std::ranges::find(names, weights.name) == names.end()) {
    diagnostics.error(weights.source, fmt::format("'{}' is neither best, last, model nor one of `averages`.{}",
                                                  weights.name, suggestion(weights.name, names)));
  }
  if (weights.name == ResultsSpec::best && !(checkpoint && checkpoint->keep.best))
    diagnostics.error(weights.source, "nothing says what is best: give checkpoint.keep.best a monitor and a mode.");
}

void ExperimentSpec::check_averages(Diagnostics& diagnostics) const {
  std::vector<std::string> names{model_weights};
  for (const auto& [name, average] : averages) {
    const Diagnostics::Scope scope(diagnostics, "averages");
    const Diagnostics::Scope inner(diagnostics, name);
    if (name == model_weights)
      diagnostics.error(average.source(), "this is the name of the weights themselves; call the average otherwise.");
    if (name.find('/') != std::string::npos)
      diagnostics.error(average.source(), "the name is a part of paths; leave out the '/'.");
    names.push_back(name);
  }
  if (std::ranges::find(names, trainer.evaluate.name) != names.end()) return;
  const Diagnostics::Scope scope(diagnostics, "trainer");
  const Diagnostics::Scope inner(diagnostics, "evaluate");
  diagnostics.error(trainer.evaluate.source, fmt::format("there is no average '{}'.{}", trainer.evaluate.name,
                                                         suggestion(trainer.evaluate.name, names)));
}

void ExperimentSpec::link(Diagnostics& diagnostics) {
  link_values(
      values, [this](const TypeInfo::LiveVisitor& visitor) { visit_live(*this, "", visitor); }, diagnostics);
}

Schema<ExperimentSpec> ExperimentSpec::schema() {
  return Schema<ExperimentSpec>("An experiment.")
      .required("version", &ExperimentSpec::version, between(1, 1), "Version of this format.")
      .required("name", &ExperimentSpec::name, non_empty(), "Name of the run's folder.", resume(Resume::safe))
      .field("modules", &ExperimentSpec::modules, resume(Resume::safe),
             "Shared objects with components of your own, loaded before anything else is read.")
      .field("seed", &ExperimentSpec::seed, at_least(0), "Seed of everything random.")
      .required("data", &ExperimentSpec::data, "Training, validation and test data.")
      .field("model", &ExperimentSpec::model, "The layers.")
      .field("models", &ExperimentSpec::models, "Several models by name, for steps that take them, instead of `model`.")
      .field("step", &ExperimentSpec::step, "How a batch becomes losses, metrics and updates.")
      .field("loss", &ExperimentSpec::loss, "What training makes small; a step may do without.")
      .field("metrics", &ExperimentSpec::metrics,
             "What is measured beside what the step reports; null takes away either.", resume(Resume::forced))
      .field("optimizer", &ExperimentSpec::optimizer, "How parameters follow their gradients.")
      .field("optimizers", &ExperimentSpec::optimizers,
             "Several optimizers by name, for steps that take them, instead of `optimizer`.")
      .field(
          "values", &ExperimentSpec::values, resume(Resume::forced),
          "Numbers by name. Any live number may be given as `values.NAME`; all that name one are driven together, by "
          "a policy with `target: values.NAME`, and every report shows it.")
      .field("policies", &ExperimentSpec::policies, "What changes while training goes on, and when it stops.",
             resume(Resume::forced))
      .field("averages", &ExperimentSpec::averages,
             "Averages of the weights over training; `trainer.evaluate` says which is validated with.")
      .required("trainer", &ExperimentSpec::trainer, "How long training goes on and on what it runs.")
      .field("checkpoint", &ExperimentSpec::checkpoint,
             "When the state is saved; without it only at a signal and at the end.", resume(Resume::safe))
      .field("loggers", &ExperimentSpec::loggers, resume(Resume::safe),
             "Where reports and the lines of steps.jsonl go beside the run's own files.")
      .field("save_source", &ExperimentSpec::save_source, resume(Resume::safe),
             "Files that a run keeps a copy of in `source`: paths, in which `*` and `?` stand for any characters of a "
             "name and `**` for any folders. At most 1000 files and 16 MiB.")
      .field("save_diff", &ExperimentSpec::save_diff, resume(Resume::safe),
             "Whether a run keeps, up to 4 MiB, what tracked files of the git work tree that it is started in have "
             "changed since the commit.")
      .field("results", &ExperimentSpec::results, "What is told of the predictions when training is finished.",
             resume(Resume::safe))
      .field("remote", &ExperimentSpec::remote, resume(Resume::safe),
             "A store on another machine that the run's files are copied to while it trains.")
      .field("output", &ExperimentSpec::output, "Where the run directory is made.", resume(Resume::safe))
      .field("fitted", &ExperimentSpec::fitted,
             "What a run took from its training samples. Written by trainctl; a new run makes its own.",
             resume(Resume::safe))
      .at_least_one_of({"model", "models"})
      .at_least_one_of({"optimizer", "optimizers"});
}

}  // namespace trainctl
