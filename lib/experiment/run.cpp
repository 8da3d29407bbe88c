#include "experiment/run.h"

#include <algorithm>

#include "base/error.h"
#include "base/file.h"
#include "base/libraries.h"
#include "base/log.h"
#include "base/version.h"
#include "experiment/continuation.h"
#include "experiment/copies.h"
#include "experiment/modules.h"
#include "experiment/results.h"
#include "schema/differences.h"
#include "schema/yaml.h"
#include "train/stored_choices.h"

namespace trainctl {
namespace {

/// Data, graphs and memory of an experiment that is about to run.
struct Running {
  std::unique_ptr<Device> device;
  std::unique_ptr<Blueprint> blueprint;
  std::unique_ptr<Session> session;
};

/// `choices` are what a run took that goes on.
Running assemble(ExperimentSpec& spec, const std::string& device, int threads, Choices choices = {}) {
  Running running;
  running.device = open_device(device.empty() ? spec.trainer.device : device, threads);
  std::vector<std::string> splits{"train"};
  if (spec.data.val) splits.emplace_back("val");
  PreparedBlueprint prepared =
      prepare_blueprint(spec, describe_data(spec, splits), *running.device, {}, std::move(choices));
  try_alternatives(prepared, *running.device);
  running.blueprint = std::move(prepared.blueprint);
  running.session = std::make_unique<Session>(*running.device, *running.blueprint, splits, std::move(prepared.plans),
                                              std::move(prepared.choices));
  running.session->reserve();
  return running;
}

std::string experiment_text(const ExperimentSpec& spec) {
  return to_yaml(write(spec));
}

/// Says how a run ended: before its copies are waited for, so that the log in the copy has it too.
void tell_end(const RunResult& result) {
  const char* advice = result.exit_code() == 0 ? "" : "; the state is saved, run the same again to go on";
  log::info("{}: {}{}", result.outcome.finished ? "finished" : "stopped", result.outcome.reason, advice);
}

/// Trains, and leaves the run's status in its meta.json whatever happens.
RunResult run_in(RunDirectory& directory, Trainer& trainer) {
  try {
    RunResult result{.directory = directory.paths().root, .outcome = trainer.run()};
    directory.record_end(result.outcome.finished ? "finished" : "interrupted", result.exit_code());
    tell_end(result);
    return result;
  } catch (const Error& error) {
    directory.record_end(error.kind() == ErrorKind::diverged ? "diverged" : "failed", error.exit_code());
    throw;
  }
}

std::map<std::string, std::string> module_digests() {
  std::map<std::string, std::string> digests;
  for (const UserModule& module : user_modules()) digests[module.path.string()] = module.sha256;
  return digests;
}

StartInfo start_info(const char* command, const std::vector<std::string>& argv, const ExperimentSpec& spec,
                     const Device& device, std::int64_t from_step) {
  return {.command = command,
          .argv = argv,
          .version = version_text(),
          .build = build_text(),
          .device = device.description(),
          .threads = device.threads(),
          .libraries = libraries(),
          .modules = module_digests(),
          .sources = {},
          .save_diff = spec.save_diff,
          .from_step = from_step};
}

/// The samples of each split that uses a part of its data set.
void write_samples(const RunPaths& paths, const Blueprint& blueprint) {
  for (const std::string& split : blueprint.splits()) {
    if (!blueprint.spec().data.find(split)->subset) continue;
    const std::vector<std::int32_t>& ids = blueprint.sampler(split).ids();
    const auto comment = fmt::format("data.{}: {} of the dataset's {} samples, by number from 0", split, ids.size(),
                                     blueprint.data(split).samples);
    std::filesystem::create_directories(paths.samples(split).parent_path());
    write_file_atomic(paths.samples(split), ids_text(comment, ids));
  }
}

/// Says where the samples of each split lie, if that is not as always.
void log_placements(const Running& running) {
  for (const std::string& split : running.blueprint->splits()) {
    const Placement& placement = running.blueprint->placement(split);
    if (placement.streams() || running.device->memory())
      log::info("data.{}: {}", split,
                placement_text(placement, running.blueprint->data(split).bytes(), *running.device));
  }
}

/// Sets the fold of every subset that has folds.
void set_fold(ExperimentSpec& spec, std::int64_t fold) {
  bool found = false;
  for (SplitSpec* split : {&spec.data.train, spec.data.val ? &*spec.data.val : nullptr}) {
    if (!split || !split->subset || split->subset->folds == 0) continue;
    found = true;
    if (fold >= split->subset->folds)
      fail(ErrorKind::usage, "--fold {}: there are {} folds, counted from 0", fold, split->subset->folds);
    split->subset->fold = fold;
  }
  if (found) return;
  fail(ErrorKind::usage,
       "--fold {}: neither data.train nor data.val has folds; give both a subset such as {{folds: 5}}, with part: rest "
       "in data.train",
       fold);
}

RunResult dry_run(ExperimentSpec& spec, const std::string& device) {
  Running running = assemble(spec, device, static_cast<int>(spec.trainer.threads));
  Session& session = *running.session;
  session.load_initial_weights();
  session.initialise();
  session.set_epoch("train", 0);
  session.scalars().set("position", std::int64_t{0});
  session.scalars().set("step", std::int64_t{0});
  session.scalars().set("batch_weight", 1.0f);
  Averaging(session).set_rates(1);
  for (const DrivenValue& driven : running.blueprint->driven()) {
    if (driven.policy)
      session.scalars().set(driven.path, static_cast<float>(driven.at(0, running.blueprint->schedule())));
  }
  const Sampler& train = running.blueprint->sampler("train");
  session.bring("train", 0, 0);
  for (int entry = 0; entry < running.blueprint->entries(); ++entry)
    session.program({Phase::whole, "train", train.batch_samples(0), entry}).run();
  RunResult result;
  result.outcome.finished = true;
  result.outcome.reason = "dry run";
  const auto measure = [&](const std::string& split, std::int64_t samples) {
    for (const Measured& value : session.measure(split, session.read_sums(split), static_cast<double>(samples))) {
      result.outcome.last.values.emplace_back(value.name, value.value);
    }
  };
  measure("train", train.batch_samples(0));
  if (spec.data.val) {
    session.set_epoch("val", 0);
    session.bring("val", 0, 0);
    const std::int64_t samples = running.blueprint->sampler("val").batch_samples(0);
    session.program(running.blueprint->evaluation("val", samples)).run();
    measure("val", samples);
  }
  tell_end(result);
  return result;
}

struct Continue {
  ExperimentSpec* spec;
  bool force;
  std::string device;
  std::vector<std::string> argv;
  const char* command;
  std::string original;
  bool longer = false;   ///< trainer.max is another than before
  bool changed = false;  ///< something is another than before
};

RunResult continue_run(RunDirectory& directory, const Continue& how, Observer& observer) {
  const RunPaths& paths = directory.paths();
  check_same_modules(paths, how.force);
  std::optional<CheckpointReader> reader = find_checkpoint(paths);
  int threads = static_cast<int>(how.spec->trainer.threads);
  if (reader && threads == 0) threads = static_cast<int>(reader->int_attribute("threads"));
  Choices choices;
  if (reader) choices = choices_of(*reader);
  Running running = assemble(*how.spec, how.device, threads, std::move(choices));
  if (reader) {
    if (reader->text_attribute("graph") != running.blueprint->graph_hash() && !how.force) {
      fail(ErrorKind::data,
           "{}: its training step is not the one this config and version build; add --force to go on all the same",
           reader->path().string());
    }
    check_same_data(*reader, *running.session, how.force);
    warn_if_bits_may_differ(*reader, *running.device);
  }
  ResultsObserver watching(*how.spec, paths, how.device, observer);
  Trainer trainer(*running.session, paths,
                  {.experiment_yaml = experiment_text(*how.spec), .data_digest = {}, .choices_json = {}}, watching);
  if (reader) {
    trainer.resume(*reader);
  } else {
    log::info("{} has no checkpoint; it begins at step 0", paths.root.string());
    running.session->load_initial_weights();
    trainer.begin();
  }
  reader.reset();
  const HostState& host = trainer.host();
  if (host.finished && (!how.longer || host.position.step >= running.blueprint->schedule().total_steps)) {
    log::info("{} is finished: {}", paths.root.string(), host.reason);
    if (how.changed) directory.write_config(experiment_text(*how.spec), how.original);
    trainer.announce();
    if (!read_status(paths).finished()) directory.record_end("finished", 0);  // it was killed right after its last save
    return {.directory = paths.root,
            .outcome = {true, host.reason,
                        trainer.history().records.empty() ? HistoryRecord{} : trainer.history().records.back()},
            .was_finished = true};
  }
  directory.write_config(experiment_text(*how.spec), how.original);
  write_samples(paths, *running.blueprint);
  log::open_file(paths.log());
  log_placements(running);
  directory.record_start(start_info(how.command, how.argv, *how.spec, *running.device, host.position.step));
  return run_in(directory, trainer);
}

/// Trains in a directory that is new.
RunResult begin_run(RunDirectory& directory, Running running, const ExperimentSpec& spec, const std::string& device,
                    Observer& observer) {
  ResultsObserver watching(spec, directory.paths(), device, observer);
  Trainer trainer(*running.session, directory.paths(),
                  {.experiment_yaml = experiment_text(spec), .data_digest = {}, .choices_json = {}}, watching);
  trainer.begin();
  return run_in(directory, trainer);
}

/// What is left to do when training is finished and its memory is free again.
RunResult with_results(RunResult result, const RunPaths& paths, const std::string& device) {
  if (result.outcome.finished) make_results(paths, device);
  return result;
}

RunResult continue_copied(RunDirectory& directory, const Continue& how, Observer& observer) {
  RunCopies copies(*how.spec, directory.paths(), RunCopies::Start::again, observer);
  return copies.until_copied(
      [&] { return with_results(continue_run(directory, how, copies.observer()), directory.paths(), how.device); });
}

}  // namespace

RunResult train(const TrainOptions& options, Observer& observer) {
  Experiment experiment = load_experiment(options.config, options.overrides);
  ExperimentSpec& spec = experiment.spec;
  spec.fitted.reset();  // of the run whose config this may be
  if (options.fold) set_fold(spec, *options.fold);
  spec.name += options.name_suffix;
  if (options.dry_run) return dry_run(spec, options.device);

  // Of two that start at once, one finds or makes the run, and the other is refused by its lock.
  std::optional<FileLock> claim;
  if (options.resume_auto && !options.output && spec.name.find('/') == std::string::npos) {
    const auto project = spec.output.root.value / spec.output.project;
    std::filesystem::create_directories(project);
    claim.emplace(project / fmt::format(".{}.lock", spec.name));
  }
  if (options.resume_auto) {
    const auto runs = options.output ? std::vector<std::filesystem::path>{*options.output}
                                     : find_runs(spec.output.root, spec.output.project, spec.name);
    for (const auto& run : runs) {
      if (!std::filesystem::exists(RunPaths{run}.config())) continue;
      RunDirectory directory = RunDirectory::open(run);  // locked: an environment Error
      const ExperimentSpec old = read_experiment(load_spec(directory.paths().config()));
      const auto changes = differences(write(old), write(spec), type_of<ExperimentSpec>());
      const bool agrees = std::ranges::none_of(changes, [](const Difference& d) { return d.resume != Resume::safe; });
      if (!agrees) {
        if (options.output) check_differences(old, spec, false, run);
        continue;
      }
      log::info("continuing {}", run.string());
      spec.fitted = old.fitted;
      const Continue how{&spec,
                         false,
                         options.device,
                         options.argv,
                         "train",
                         experiment.original,
                         old.trainer.max != spec.trainer.max,
                         !changes.empty()};
      return continue_copied(directory, how, observer);
    }
  }

  const SourceFiles sources = sources_of(spec);
  // Everything that can fail for lack of data or memory has failed before a directory is made.
  Running running = assemble(spec, options.device, static_cast<int>(spec.trainer.threads));
  running.session->load_initial_weights();
  RunDirectory directory = options.output
                               ? RunDirectory::create_at(*options.output)
                               : RunDirectory::allocate(spec.output.root.value, spec.output.project, spec.name);
  RunCopies copies(spec, directory.paths(), RunCopies::Start::fresh, observer);
  directory.write_config(experiment_text(spec), experiment.original);
  write_samples(directory.paths(), *running.blueprint);
  log::open_file(directory.paths().log());
  log_placements(running);
  StartInfo start = start_info("train", options.argv, spec, *running.device, 0);
  start.sources = copy_sources(sources, directory.paths().source());
  directory.record_start(start);
  return copies.until_copied([&] {
    return with_results(begin_run(directory, std::move(running), spec, options.device, copies.observer()),
                        directory.paths(), options.device);
  });
}

RunResult resume(const ResumeOptions& options, Observer& observer) {
  RunDirectory directory = RunDirectory::open(options.run);
  const RunPaths& paths = directory.paths();
  const ExperimentSpec old = read_experiment(load_spec(paths.config()));
  Experiment changed = load_experiment(paths.config(), options.overrides);
  if (options.more) {
    Progress& max = changed.spec.trainer.max;
    if (options.more->unit != max.unit) {
      fail(ErrorKind::usage, "--more is in other units than trainer.max ({}); say it in the same", to_text(max));
    }
    max.count += options.more->count;
  }
  check_differences(old, changed.spec, options.force, paths.root);
  const std::string original =
      std::filesystem::exists(paths.original_config()) ? read_file(paths.original_config()) : changed.original;
  const bool longer = old.trainer.max != changed.spec.trainer.max;
  const bool differs = experiment_text(old) != experiment_text(changed.spec);
  return continue_copied(
      directory, {&changed.spec, options.force, options.device, options.argv, "resume", original, longer, differs},
      observer);
}

}  // namespace trainctl
