#include "experiment/evaluate.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/signals.h"
#include "experiment/modules.h"
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

}  // namespace

EvaluateResult evaluate(const EvaluateOptions& options) {
  const double start = monotonic_seconds();
  EvaluateResult result;
  const CheckpointReader reader = open_run_or_checkpoint(options.target);
  ExperimentSpec spec = spec_of(reader, options);
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
  session.clear_sums(result.split);
  for (std::int64_t offset = 0; offset < sampler.epoch_samples();) {
    if (signals::stop_requested())
      fail(ErrorKind::interrupted, "evaluation was stopped by a signal; nothing was changed");
    const std::int64_t samples = sampler.batch_samples(offset);
    session.bring(result.split, 0, offset);
    session.scalars().set("position", offset);
    session.program({Phase::evaluate, result.split, samples}).run();
    offset += samples;
  }
  result.samples = sampler.epoch_samples();
  for (const Measured& value :
       session.measure(result.split, session.read_sums(result.split), static_cast<double>(result.samples))) {
    result.values.emplace_back(value.name, value.value);
  }
  result.seconds = monotonic_seconds() - start;
  return result;
}

}  // namespace trainctl
