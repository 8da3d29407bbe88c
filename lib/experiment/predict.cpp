#include "experiment/predict.h"

#include <algorithm>
#include <numeric>
#include <optional>
#include <span>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/signals.h"
#include "base/text.h"
#include "data/input_file.h"
#include "experiment/restored.h"
#include "schema/yaml.h"
#include "store/checkpoint_store.h"
#include "train/snapshot.h"
#include "train/stored_choices.h"
#include "train/trained_fields.h"

namespace trainctl {

namespace fs = std::filesystem;

namespace {

void check_output(const fs::path& output) {
  PredictionFile::check_ending(output);
  std::error_code error;
  if (fs::is_directory(output, error)) fail(ErrorKind::usage, "{}: is a folder; name a file", output.string());
  if (const fs::path folder = fs::absolute(output).parent_path(); !fs::is_directory(folder, error))
    fail(ErrorKind::usage, "{}: there is no folder {}", output.string(), folder.string());
}

/// What samples of the training data were, by the checkpoint, or, where an older version wrote it, by the data.
DatasetInfo trained_on(const CheckpointReader& reader, const ExperimentSpec& spec) {
  if (!reader.fields_json().empty()) return fields_from_json(reader.fields_json(), reader.path().string());
  try {
    return spec.data.train.dataset->describe();
  } catch (const Error& error) {
    fail(ErrorKind::data, "{}: does not say what its training data were, and they are not there: {}",
         reader.path().string(), error.what());
  }
}

/// The split whose way of reading is used, its own data in the order of their numbers.
SplitSpec& prepare_split(ExperimentSpec& spec, const PredictOptions& options, std::string& name) {
  name = !options.split.empty() ? options.split : spec.data.test ? "test" : spec.data.val ? "val" : "train";
  if (!spec.data.find(name)) fail(ErrorKind::usage, "--split {}: the experiment has no data.{}", name, name);
  SplitSpec& split = name == "train" ? spec.data.train : name == "val" ? *spec.data.val : *spec.data.test;
  split.shuffle = split.drop_last = false;
  split.sampler.reset();
  if (!options.inputs.empty()) split.subset.reset();
  if (options.batch_size > 0) split.batch_size = options.batch_size;
  const auto drawn = std::erase_if(split.transforms, [](const auto& transform) { return transform->random(); });
  if (drawn > 0) log::info("data.{}: {} that draw at random left out", name, counted(drawn, "transform"));
  return split;
}

/// The programs for one sample as those of the training data were.
std::unique_ptr<Blueprint> blueprint_for_one(ExperimentSpec& spec, SplitSpec& split, const std::string& name,
                                             DatasetInfo trained) {
  trained.samples = split.batch_size = 1;
  split.subset.reset();
  return std::make_unique<Blueprint>(spec, DataInfos{{name, trained}}, Answers{.predictions = true});
}

/// The fields that the models are given, as they were in training.
std::vector<Field> fields_given(const Blueprint& blueprint, const std::string& split) {
  std::vector<Field> used = blueprint.fields_in_use(split);
  const DatasetInfo& trained = blueprint.data(split);
  if (used.empty() && trained.has("input")) used.push_back(trained.field("input"));  // a generator's number of samples
  return used;
}

Component<Dataset> dataset_of(const std::string& input, const Dataset& like, const std::vector<Field>& given) {
  Component<Dataset> dataset;
  if (input.starts_with('{')) {
    Diagnostics diagnostics;
    dataset.read(parse_yaml_text(input, "INPUT"), {}, diagnostics);
    diagnostics.throw_if_any();
    return dataset;
  }
  std::error_code error;
  if (!fs::exists(input, error)) fail(ErrorKind::data, "{}: there is no such file or folder", input);
  return like.inputs_at(fs::absolute(input), given);
}

/// Whether the data set has samples; says so if not.
bool has_samples(const Dataset& dataset) {
  try {
    dataset.describe();
    return true;
  } catch (const NoSamples& error) {
    log::warn("{}", error.what());
    return false;
  }
}

/// The data sets of all inputs, one after another; null if they hold no samples.
Component<Dataset> new_data(const PredictOptions& options, const Dataset& like, const std::vector<Field>& given) {
  std::vector<Component<Dataset>> parts;
  for (const std::string& input : options.inputs) {
    Component<Dataset> part = dataset_of(input, like, given);
    if (has_samples(*part)) parts.push_back(std::move(part));
  }
  if (parts.size() < 2) return parts.empty() ? Component<Dataset>() : std::move(parts.front());
  Node list = Node::list();
  for (const Component<Dataset>& part : parts) list.push_back(part.write());
  Node node = Node::map();
  node.set("type", Node::scalar("concat"));
  node.set("datasets", std::move(list));
  Component<Dataset> all;
  Diagnostics diagnostics;
  all.read(node, {}, diagnostics);
  diagnostics.throw_if_any();
  return all;
}

std::string text_of(const Field& field) {
  std::string text = fmt::format("{} {}", name(field.dtype), field.shape.text());
  if (!field.columns.empty()) text += fmt::format(" (columns {})", join(field.columns, ", "));
  return text;
}

bool is_whole(DType dtype) {
  return dtype == DType::i32 || dtype == DType::i64;
}

/// Refuses samples that are not what the model was trained on.
void check_fields(const DatasetInfo& info, const std::vector<Field>& given, const std::string& where) {
  for (const Field& trained : given) {
    if (!info.has(trained.name)) {
      fail(ErrorKind::data, "{}: has no field '{}', which the model is given: {}", where, trained.name,
           text_of(trained));
    }
    const Field& field = info.field(trained.name);
    const bool alike = field.dtype == trained.dtype || (is_whole(field.dtype) && is_whole(trained.dtype));
    if (field.shape == trained.shape && alike) continue;
    fail(ErrorKind::data, "{}: a sample's '{}' is {}, and the model was trained on {}", where, field.name,
         text_of(field), text_of(trained));
  }
}

/// What the outputs of the graph mean, by the losses that the step holds them against. What is to be like the input, as
/// of an autoencoder, is values.
std::vector<PredictedOutput> outputs_of(const Blueprint& blueprint, const DatasetInfo& trained,
                                        const std::vector<Field>& given) {
  const ExperimentSpec& spec = blueprint.spec();
  const auto losses = spec.step->losses(spec.loss ? &*spec.loss : nullptr);
  std::vector<PredictedOutput> outputs;
  for (const Graph::Output& output : blueprint.model_graph().outputs()) {
    PredictedOutput one;
    if (const auto slash = output.name.find('/'); slash != std::string::npos) one.name = output.name.substr(slash + 1);
    one.shape = blueprint.model_graph().info(output.value).type.shape.slice(1);
    one.probabilities = spec.model && spec.model->output;
    const auto loss = std::ranges::find_if(
        losses, [&](const LabelledLoss& each) { return one.name.empty() || each.field == one.name; });
    if (loss != losses.end() && trained.has(loss->field)) {
      const Field& target = trained.field(loss->field);
      const bool several = one.shape.rank() > 0 && one.shape[0] > 1;
      const bool is_input = std::ranges::find(given, target.name, &Field::name) != given.end();
      if (!is_input) one.link = (*loss->loss)->link(target.classes > 0 && several);
      if (one.classifies() && !several) one.link = Link::none;
      one.class_names = target.class_names;
      one.columns = target.columns;
    }
    outputs.push_back(std::move(one));
  }
  return outputs;
}

/// The files of the samples in the sampler's order; nothing where samples are no files.
std::vector<std::string> files_of(const Dataset& dataset, const Sampler& sampler) {
  std::vector<std::string> all = dataset.files(), files;
  if (all.empty()) return all;
  for (const std::int32_t id : sampler.order(0)) files.push_back(std::move(all[static_cast<std::size_t>(id)]));
  return files;
}

/// Runs the split's batches and hands what they give to the file.
void run_batches(Session& session, const std::string& split, PredictionFile& file) {
  const Blueprint& blueprint = session.blueprint();
  const Sampler& sampler = blueprint.sampler(split);
  const std::vector<std::int32_t> order = sampler.order(0);
  session.set_epoch(split, 0);
  std::vector<std::vector<float>> numbers(blueprint.model_graph().outputs().size());
  for (std::int64_t offset = 0; offset < sampler.epoch_samples();) {
    if (signals::stop_requested())
      fail(ErrorKind::interrupted, "prediction was stopped by a signal; nothing is written");
    const std::int64_t samples = sampler.batch_samples(offset);
    session.bring(split, 0, offset);
    session.scalars().set("position", offset);
    Program& program = session.program({Phase::predict, split, samples});
    program.run();
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      const std::string& name = blueprint.model_graph().outputs()[i].name;
      numbers[i].resize(static_cast<std::size_t>(program.output_type(name).shape.elements()));
      program.read_output(name, numbers[i].data());
    }
    file.add(numbers, std::span(order).subspan(static_cast<std::size_t>(offset), static_cast<std::size_t>(samples)));
    offset += samples;
  }
}

}  // namespace

PredictResult predict(const PredictOptions& options) {
  const double start = monotonic_seconds();
  check_output(options.output);
  if (options.inputs.empty() && options.split.empty())
    fail(ErrorKind::usage, "give data as INPUT, or --split NAME for those of a split of the experiment");
  const CheckpointReader reader = open_run_or_checkpoint(options.target);
  ExperimentSpec spec = experiment_of(reader, std::nullopt, options.overrides);
  spec.results.reset();
  PredictResult result;
  result.checkpoint = reader.path();
  result.epoch = reader.int_attribute("epoch");
  result.step = reader.int_attribute("step");
  result.weights = options.weights.empty() ? spec.trainer.evaluate.name : options.weights;
  result.output = options.output;

  SplitSpec& split = prepare_split(spec, options, result.split);
  const DatasetInfo trained = trained_on(reader, spec);
  const std::int64_t batch_size = split.batch_size;
  std::optional<Subset> subset = options.inputs.empty() ? split.subset : std::nullopt;
  auto blueprint = blueprint_for_one(spec, split, result.split, trained);
  const std::vector<Field> given = fields_given(*blueprint, result.split);
  const auto create_file = [&](std::vector<std::string> files) {
    result.outputs = outputs_of(*blueprint, trained, given);
    return PredictionFile::create(fs::absolute(options.output), {result.outputs, result.samples, std::move(files)});
  };
  if (!options.inputs.empty()) split.dataset = new_data(options, *split.dataset, given);
  if (split.dataset) {
    const DatasetInfo info = split.dataset->describe();
    check_fields(info, given, options.inputs.empty() ? "data." + result.split : join(options.inputs, ", "));
    split.batch_size = batch_size;
    split.subset = std::move(subset);
    const auto device = open_device_for(spec, options.device);
    PreparedBlueprint prepared =
        prepare_blueprint(spec, {{result.split, info}}, *device, Answers{.predictions = true}, choices_of(reader));
    blueprint = std::move(prepared.blueprint);
    const Sampler& sampler = blueprint->sampler(result.split);
    result.samples = sampler.epoch_samples();
    Session session(*device, *blueprint, {result.split}, std::move(prepared.plans), std::move(prepared.choices));
    Snapshot(session).restore_model(reader, result.weights);
    restore_driven(session, reader);
    const auto file = create_file(files_of(*split.dataset, sampler));
    run_batches(session, result.split, *file);
    file->finish();
  } else {
    create_file({})->finish();
  }
  result.seconds = monotonic_seconds() - start;
  return result;
}

}  // namespace trainctl
