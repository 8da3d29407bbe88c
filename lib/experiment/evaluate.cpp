#include "experiment/evaluate.h"

#include <algorithm>

#include "base/clock.h"
#include "base/error.h"
#include "base/signals.h"
#include "experiment/restored.h"
#include "results/results_writer.h"
#include "schema/yaml.h"
#include "store/checkpoint_store.h"
#include "store/run_directory.h"
#include "train/session.h"
#include "train/snapshot.h"
#include "train/stored_choices.h"

namespace trainctl {
namespace {

/// What results are made of: the spec's section, or packages that the command names.
ResultsSpec results_of(ExperimentSpec& spec, const std::vector<std::string>& packages) {
  if (packages.empty()) {
    if (spec.results) return std::move(*spec.results);
    fail(ErrorKind::usage, "the experiment has no results section; name packages, such as --package classification");
  }
  Node list = Node::list();
  for (const std::string& text : packages) list.push_back(parse_yaml_text(text, "--package"));
  ResultsSpec results;
  results.packages = parse<Named<ResultPackage>>(list);
  if (spec.results) results.target = spec.results->target;
  return results;
}

/// Hands what programs give to a writer.
class Recorder {
 public:
  Recorder(Session& session, const std::string& split, const ResultsSpec& results, const std::string& target,
           const std::filesystem::path& folder)
      : output_(session.blueprint().output_for(target)),
        writer_(folder, split, results, session.blueprint().predictions(split, target),
                session.blueprint().sampler(split).epoch_samples()) {
    order_ = session.blueprint().sampler(split).order(0);
  }

  void add(const Program& program, std::int64_t offset, std::int64_t samples) {
    outputs_.resize(static_cast<std::size_t>(program.output_type(output_).shape.elements()));
    program.read_output(output_, outputs_.data());
    targets_.resize(program.output_type("target").bytes());
    program.read_output("target", targets_.data());
    const auto ids = std::span(order_).subspan(static_cast<std::size_t>(offset), static_cast<std::size_t>(samples));
    writer_.add(samples, outputs_.data(), targets_.data(), ids.data());
  }
  ResultsWriter& writer() { return writer_; }

 private:
  std::string output_;
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
  ExperimentSpec spec = experiment_of(reader, options.config, options.overrides);
  std::optional<ResultsSpec> results;
  if (options.output) results = results_of(spec, options.packages);
  if (results && !options.field.empty()) results->target = options.field;
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
  const auto device = open_device_for(spec, options.device);
  Answers answers;
  if (results) answers.target = target_of(spec, results->target);
  PreparedBlueprint prepared =
      prepare_blueprint(spec, describe_data(spec, {result.split}), *device, answers, choices_of(reader));
  const Blueprint& blueprint = *prepared.blueprint;
  Session session(*device, *prepared.blueprint, {result.split}, std::move(prepared.plans), std::move(prepared.choices));
  result.weights = options.weights.empty() ? spec.trainer.evaluate.name : options.weights;
  Snapshot(session).restore_model(reader, result.weights);
  restore_driven(session, reader);

  const Sampler& sampler = blueprint.sampler(result.split);
  session.set_epoch(result.split, 0);
  std::optional<Recorder> recorder;
  if (results) recorder.emplace(session, result.split, *results, answers.target, *options.output);
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
