#include "experiment/evaluate.h"

#include <algorithm>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/signals.h"
#include "experiment/modules.h"
#include "results/results_writer.h"
#include "schema/yaml.h"
#include "store/checkpoint_store.h"
#include "store/run_directory.h"
#include "train/session.h"
#include "train/snapshot.h"

namespace trainctl {
namespace {

ExperimentSpec spec_of(const CheckpointReader& reader, const EvaluateOptions& options) {
  Node resolved = parse_yaml_text(reader.experiment_yaml(), reader.path().string() + ":/experiment");
  if (options.config) {
    ExperimentSpec spec = std::move(load_experiment(*options.config, options.overrides).spec);
    const Node* fitted = resolved.find("fitted");  // of the training data, whatever this config's are
    spec.fitted.reset();
    if (fitted && !fitted->is_null()) spec.fitted = parse<Fitted>(*fitted);
    return spec;
  }
  Diagnostics diagnostics;
  resolved = resolve_spec(std::move(resolved), options.overrides, diagnostics);
  diagnostics.throw_if_any();
  return read_experiment(resolved);
}

/// Values that policies drive, such as label_smoothing, are those of the checkpoint's last report.
void set_driven(Session& session, const CheckpointReader& reader) {
  const History history = History::from_json(reader.history_json(), reader.path().string());
  for (const DrivenValue& driven : session.blueprint().driven()) {
    if (!driven.policy) continue;
    std::optional<double> value;
    if (!history.records.empty()) value = find_value(history.records.back().values, driven.shown_as);
    session.scalars().set(driven.path, static_cast<float>(value.value_or(driven.base)));
  }
}

/// What results are made of: the spec's section, or packages that the command names.
ResultsSpec results_of(ExperimentSpec& spec, const std::vector<std::string>& packages) {
  if (packages.empty()) {
    if (spec.results) return std::move(*spec.results);
    fail(ErrorKind::usage, "the experiment has no results section; name packages, such as --package classification");
  }
  ResultsSpec results;
  Diagnostics diagnostics;
  for (const std::string& text : packages) {
    Component<ResultPackage> package;
    package.read(parse_yaml_text(text, "--package"), "", diagnostics);
    diagnostics.throw_if_any();
    std::string name = package.type();
    for (int n = 2; std::ranges::find(results.packages.items, name, [](const auto& item) { return item.first; }) !=
                    results.packages.items.end();
         ++n)
      name = fmt::format("{}{}", package.type(), n);
    results.packages.items.emplace_back(name, std::move(package));
  }
  if (spec.results) results.target = spec.results->target;
  return results;
}

/// Hands what programs give to a writer.
class Recorder {
 public:
  Recorder(Session& session, const std::string& split, const ResultsSpec& results, const std::filesystem::path& folder)
      : data_(session.data(split)),
        field_(data_.source->info().index_of(results.target)),
        writer_(folder, split, results, session.blueprint().predictions(split, results.target), target().dtype,
                session.blueprint().sampler(split).epoch_samples()) {
    order_.resize(static_cast<std::size_t>(session.blueprint().sampler(split).samples()));
    session.blueprint().sampler(split).order(0, order_);
  }

  void add(const Program& program, std::int64_t offset, std::int64_t samples) {
    outputs_.resize(static_cast<std::size_t>(program.output_type("output").shape.elements()));
    program.read_output("output", outputs_.data());
    const auto ids = std::span(order_).subspan(static_cast<std::size_t>(offset), static_cast<std::size_t>(samples));
    targets_.resize(ids.size() * target().sample_bytes());
    data_.source->read(field_, ids, targets_.data());
    writer_.add(samples, outputs_.data(), targets_.data(), ids.data());
  }
  ResultsWriter& writer() { return writer_; }

 private:
  const Field& target() const { return data_.source->info().fields[field_]; }

  const SplitData& data_;
  std::size_t field_;
  std::vector<std::int32_t> order_;
  ResultsWriter writer_;
  std::vector<float> outputs_;
  std::vector<std::byte> targets_;
};

}  // namespace

EvaluateResult evaluate(const EvaluateOptions& options) {
  const double start = monotonic_seconds();
  EvaluateResult result;
  const CheckpointReader reader = open_run_or_checkpoint(options.target);
  ExperimentSpec spec = spec_of(reader, options);
  std::optional<ResultsSpec> results;
  if (options.output) results = results_of(spec, options.packages);
  spec.results.reset();
  result.checkpoint = reader.path();
  result.epoch = reader.int_attribute("epoch");
  result.step = reader.int_attribute("step");
  result.split = !options.split.empty() ? options.split : spec.data.test ? "test" : "val";
  if (!spec.data.find(result.split)) {
    fail(ErrorKind::usage,
         "the experiment has no data.{}; give one with --set data.{}=... and --config, or choose another --split",
         result.split, result.split);
  }
  const auto device = open_device(options.device.empty() ? spec.trainer.device : options.device,
                                  static_cast<int>(spec.trainer.threads));
  if (spec.trainer.precision != Precision::fp32 && !device->reduced_precision()) {
    log::info("device {} evaluates in fp32 what was trained in less", device->name());
    spec.trainer.precision = Precision::fp32;
  }
  Blueprint blueprint(spec, describe_data(spec, {result.split}));
  Session session(*device, blueprint, {result.split});
  result.weights = options.weights.empty() ? spec.trainer.evaluate.name : options.weights;
  Snapshot(session).restore_model(reader, result.weights);
  set_driven(session, reader);

  const Sampler& sampler = blueprint.sampler(result.split);
  session.set_epoch(result.split, 0);
  std::optional<Recorder> recorder;
  if (results) recorder.emplace(session, result.split, *results, *options.output);
  session.clear_sums(result.split);
  for (std::int64_t offset = 0; offset < sampler.epoch_samples();) {
    if (signals::stop_requested())
      fail(ErrorKind::interrupted, "evaluation was stopped by a signal; nothing was changed");
    const std::int64_t samples = sampler.batch_samples(offset);
    session.bring(result.split, 0, offset);
    session.scalars().set("position", offset);
    Program& program = session.program({Phase::evaluate, result.split, samples});
    program.run();
    if (recorder) recorder->add(program, offset, samples);
    offset += samples;
  }
  result.samples = sampler.epoch_samples();
  for (const Measured& value :
       session.measure(result.split, session.read_sums(result.split), static_cast<double>(result.samples))) {
    result.values.emplace_back(value.name, value.value);
  }
  if (recorder) {
    recorder->writer().finish({.checkpoint = result.checkpoint.filename().string(),
                               .weights = result.weights,
                               .epoch = result.epoch,
                               .step = result.step,
                               .samples = result.samples,
                               .values = result.values});
    result.results = ResultsWriter::json_path(*options.output, result.split);
  }
  result.seconds = monotonic_seconds() - start;
  return result;
}

}  // namespace trainctl
