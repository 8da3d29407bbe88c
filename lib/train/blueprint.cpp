#include "train/blueprint.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "graph/op.h"
#include "graph/text_hash.h"
#include "ops/image.h"
#include "train/notes.h"
#include "train/split_sampler.h"

namespace trainctl {
namespace {

/// Runs a part of compiling a spec and keeps what it complains about, so that other parts may complain too. False if it
/// did. What has no place of its own is shown at `source`.
template <typename Part>
bool attempt(Diagnostics& problems, const Source& source, Part part) {
  try {
    part();
    return true;
  } catch (const ConfigError& error) {
    problems.take(error);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::config) throw;
    note(problems, source, "", error.what());
  }
  return false;
}

/// State of the models that training moves and no optimizer owns. To be asked for before anything is frozen.
std::vector<int> running_statistics(const StateSpec& state, const Assembly& assembly) {
  std::vector<int> found;
  for (const Assembly::NamedModel& model : assembly.models) {
    if (model.model->frozen()) continue;
    for (int i = 0; i < state.size(); ++i) {
      if (state[i].name.starts_with(Assembly::prefix_of(model.name)) && !state[i].trainable &&
          state[i].type.dtype == DType::f32)
        found.push_back(i);
    }
  }
  return found;
}

void replace_all(std::string& text, const std::string& from, const std::string& to) {
  for (std::size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
    text.replace(at, from.size(), to);
}

/// A class number without a row in the table that reads it would be NaN in the first batch that has it.
void check_embeddings(const Graph& graph, const Batch& batch) {
  for (const GraphNode& node : graph.nodes()) {
    if (node.op->name() != "embedding") continue;
    for (const auto& [field, classes] : batch.classes) {
      const std::int64_t rows = graph.info(node.inputs[1]).type.shape[0];
      if (batch.fields.find(field)->second.id() != node.inputs[0] || rows >= classes) continue;
      fail(ErrorKind::config, "embedding '{}' has {} rows, but '{}' has {} classes; set num_embeddings to {}",
           node.path, rows, field, classes, classes);
    }
  }
}

}  // namespace

std::string ProgramKey::text() const {
  static constexpr const char* phases[] = {"whole step",        "first of an update", "within an update",
                                           "last of an update", "evaluation",         "refresh of running statistics",
                                           "prediction"};
  return fmt::format("{}: {}{}{}{}, {} samples", split, phases[static_cast<int>(phase)],
                     entry ? fmt::format(" (program {})", entry + 1) : "",
                     stage ? fmt::format(" (stage {} of freeze_until)", stage) : "",
                     weights.empty() ? "" : fmt::format(" with averages.{}", weights), samples);
}

Blueprint::Blueprint(ExperimentSpec& spec, DataInfos data, Answers answers, Placements placements)
    : spec_(spec), answers_(std::move(answers)), data_(std::move(data)), placements_(std::move(placements)) {
  if (placements_.empty()) placements_ = place_data(spec.data, data_, std::nullopt);
  make_samplers();
  if (trains() && !spec.fitted) spec.fitted = fit(spec, this->data("train"), sampler("train"));
  hand_out_fitted(spec);
  if (trains()) make_schedule();
  Diagnostics problems;
  find_driven(problems);
  context_.seed = static_cast<std::uint64_t>(spec.seed);

  if (spec.model) assembly_.models.push_back({"", &*spec.model});
  for (const auto& [name, model] : spec.models) assembly_.models.push_back({name, &model});
  if (spec.loss) assembly_.loss = &*spec.loss;
  assembly_.metrics = &spec.metrics;
  if (spec.optimizer) assembly_.optimizers.push_back({"", spec.optimizer->get(), spec.optimizer->source()});
  for (const auto& [name, optimizer] : spec.optimizers)
    assembly_.optimizers.push_back({name, optimizer.get(), optimizer.source()});
  assembly_.activations = spec.trainer.precision == Precision::bf16 ? DType::bf16 : DType::f32;
  assembly_.clip_grad_norm = spec.trainer.clip_grad_norm;
  assembly_.clip_grad_value = spec.trainer.clip_grad_value;
  assembly_.skip_nonfinite = spec.trainer.on_nan == OnNan::skip;

  attempt(problems, Source(), [&] { build_all(); });
  problems.throw_if_any();
}

void Blueprint::build_all() {
  // Evaluation comes first: it declares the parameters that the optimizers' groups divide among themselves.
  const std::string split = trains() ? "train" : data_.begin()->first;
  model_graph_ = std::make_unique<Graph>(state_);
  Builder builder(*model_graph_, context_, false);
  const Batch first = batch(builder, split, sampler(split).options().batch_size);
  answer(builder, evaluation(split, first.samples), first);
  check_embeddings(*model_graph_, first);
  layers_ = builder.layers();
  Diagnostics problems;
  const std::vector<int> statistics = running_statistics(state_, assembly_);
  const bool grouped = !trains() || attempt(problems, Source(), [&] { declare_groups(); });
  if (trains() && grouped) declare_averages(statistics, problems);
  std::vector<ProgramKey> keys = programs();
  if (!assembly_.stage_begins().empty()) {
    // The last stage of freeze_until declares all slots, so that a checkpoint does not depend on how long training is.
    ProgramKey last = keys.front();
    last.stage = static_cast<int>(assembly_.stage_begins().size());
    for (last.entry = 0; last.entry < entries(); ++last.entry) keys.push_back(last);
  }
  for (const ProgramKey& key : keys) {
    // Without groups there are no updates; evaluation shows what else is wrong.
    if (!grouped && key.phase != Phase::evaluate) continue;
    if (!attempt(problems, Source(), [&] {
          const auto graph = build(key);
          if (graph_hash_.empty()) graph_hash_ = hash_without_guard(key, *graph);
        }))
      break;
  }
  if (problems.ok() && !answers_.predictions) check_metrics(assembly_.reported(split), problems);
  if (problems.ok() && trains() && (!spec_.data.val || data_.contains("val"))) check_monitors(problems);
  if (problems.ok() && trains() && spec_.results) check_results(problems);
  problems.throw_if_any();
}

void Blueprint::declare_averages(const std::vector<int>& statistics, Diagnostics& problems) {
  averages_.declare(state_, spec_.averages, statistics);
  for (const auto& [name, average] : spec_.averages) {
    if (const std::int64_t start = schedule_.steps(average->start); start > schedule_.total_steps)
      note(problems, average.source(), fmt::format("averages.{}.start", name),
           fmt::format("the average begins after {} steps, and training ends after {}", start, schedule_.total_steps));
  }
}

void Blueprint::declare_groups() {
  assembly_.declare_groups(state_, [&](const Progress& time) { return schedule_.steps(time); });
  if (!assembly_.stage_begins().empty() && assembly_.stage_begins().back() >= schedule_.total_steps) {
    log::warn(
        "freeze_until: parameters that are frozen until step {} stay so, since trainer.max ends training after {}",
        assembly_.stage_begins().back(), schedule_.total_steps);
  }
  for (const auto& [name, policy] : spec_.policies) {
    for (std::string& added : policy->adds(state_)) added_.push_back(std::move(added));
  }
}

int Blueprint::stage_at(std::int64_t step) const {
  const auto& begins = assembly_.stage_begins();
  return static_cast<int>(std::ranges::upper_bound(begins, step) - begins.begin());
}

std::string Blueprint::hash_of(const Graph& graph) const {
  std::string text = graph.text();
  if (trains() && placement("train").streams()) {  // as if all samples lay on the device
    const auto whole = [&](const std::string& name, const TensorType& batch, const TensorType& all) {
      replace_all(text, fmt::format("data/train/{}:{}", name, batch.text()),
                  fmt::format("data/train/{}:{}", name, all.text()));
    };
    whole("order", {DType::i32, {rows("train")}}, {DType::i32, {sampler("train").samples()}});
    for (const Field& field : data("train").fields)
      whole(field.name, field.batch_type(rows("train")), field.batch_type(data("train").samples));
    replace_all(text, streamed_position, "position");
  }
  return text_hash(text);
}

void Blueprint::make_samplers() {
  for (const auto& [name, info] : data_) {
    samplers_.emplace(name, make_sampler(spec_, name, info, trains() && name == "train"));
  }
  warn_of_shared_samples(spec_, samplers_);
  check_same_classes(data_);
}

void Blueprint::make_schedule() {
  const Sampler& train = sampler("train");
  const std::int64_t accumulate = spec_.trainer.accumulate;
  schedule_.steps_per_epoch = (train.batches() + accumulate - 1) / accumulate;
  schedule_.samples_per_epoch = train.epoch_samples();
  schedule_.batch_samples = train.options().batch_size * accumulate;
  schedule_.total_steps = schedule_.steps(spec_.trainer.max);
}

std::int64_t Blueprint::rows(std::string_view split) const {
  const Placement& where = placement(split);
  return where.streams() ? where.places * sampler(split).options().batch_size : data(split).samples;
}

Batch Blueprint::batch(Builder& builder, std::string_view split, std::int64_t samples) {
  const DatasetInfo& info = data(split);
  const SplitSpec& spec = *spec_.data.find(split);
  Graph& graph = builder.graph();
  const std::string prefix = fmt::format("data/{}/", split);
  const bool streamed = placement(split).streams();
  const std::int64_t ordered = streamed ? rows(split) : sampler(split).samples();
  const Value order = graph.state(state_.declare({prefix + "order", {DType::i32, {ordered}}, Init::zeros(), false}));
  const Value position = graph.scalar(streamed ? streamed_position : "position", DType::i64);
  Batch batch{.fields = {}, .samples = samples, .classes = {}};
  const Builder::Scope scope(builder, fmt::format("data.{}", split));
  for (const Field& field : info.fields) {
    const Value samples_of_field =
        graph.state(state_.declare({prefix + field.name, field.batch_type(rows(split)), Init::zeros(), false}));
    Value value =
        builder.apply1("gather", std::make_shared<GatherAttributes>(samples), {samples_of_field, order, position});
    if (field.dtype == DType::u8)
      value = builder.apply1("convert", std::make_shared<ConvertAttributes>(255.0), {value});
    const Moments* moments = spec_.fitted ? spec_.fitted->standardize.find(field.name) : nullptr;
    if (moments && field.classes == 0 && spec_.data.standardize.find(field.name)) {
      batch.standardized.emplace(field.name, Standardized{value, moments});
      value = standardize(builder, field.name, value, *moments);
    }
    if (field.name == "input") {
      for (std::size_t i = 0; i < spec.transforms.size(); ++i) {
        const Builder::Scope inner(builder, fmt::format("transforms.{}", i));
        value = spec.transforms[i]->build(builder, value);
      }
    }
    batch.fields.emplace(field.name, value);
    if (field.classes > 0) batch.classes.emplace(field.name, field.classes);
  }
  for (const auto& [name, how] : spec_.data.standardize) {
    const Moments* moments = spec_.fitted ? spec_.fitted->standardize.find(name) : nullptr;
    if (moments && !info.has(name)) batch.standardized.emplace(name, Standardized{{}, moments});
  }
  return batch;
}

std::unique_ptr<Graph> Blueprint::build(const ProgramKey& key) {
  auto graph = std::make_unique<Graph>(state_);
  const bool evaluates = key.phase == Phase::evaluate || key.phase == Phase::refresh || key.phase == Phase::predict;
  Builder builder(*graph, context_, !evaluates);
  if (!key.weights.empty()) builder.stand_in(averages_.stand_ins(key.weights));
  if (key.phase == Phase::refresh) builder.refresh(averages_.refreshed(key.weights));
  const Batch values = batch(builder, key.split, key.samples);
  assembly_.stage = key.stage;
  const StepProgram program{key.phase, key.split, key.entry};
  if (evaluates)
    answer(builder, key, values);
  else
    spec_.step->build(builder, assembly_, program, values);
  check_embeddings(*graph, values);
  if (key.phase == Phase::refresh) graph->keep_updates(averages_.refreshed(key.weights));
  const bool ends_update = key.phase == Phase::whole || key.phase == Phase::finish;
  if (ends_update && key.entry + 1 == entries()) averages_.update(builder);
  if (!evaluates) assembly_.guard(builder, program, key.samples);
  return graph;
}

/// A run may go on with another `on_nan`: the hash is of the graph that skips nothing.
std::string Blueprint::hash_without_guard(const ProgramKey& key, const Graph& graph) {
  if (!assembly_.skip_nonfinite) return hash_of(graph);
  assembly_.skip_nonfinite = false;
  const std::string hash = hash_of(*build(key));
  assembly_.skip_nonfinite = true;
  return hash;
}

ProgramKey Blueprint::evaluation(const std::string& split, std::int64_t samples) const {
  const std::string& weights = spec_.trainer.evaluate.name;
  return {answers_.predictions ? Phase::predict : Phase::evaluate, split, samples, 0,
          trains() && weights != model_weights ? weights : ""};
}

void Blueprint::add_refresh_programs(std::vector<ProgramKey>& keys) const {
  if (!trains()) return;
  const Sampler& train = sampler("train");
  const std::int64_t full = train.options().batch_size, ragged = train.epoch_samples() % full;
  for (const auto& [name, average] : spec_.averages) {
    if (averages_.refreshed(name).empty()) continue;
    if (train.epoch_samples() >= full) keys.push_back({Phase::refresh, "train", full, 0, name});
    if (ragged && average->refresh_batches.value_or(train.batches()) >= train.batches())
      keys.push_back({Phase::refresh, "train", ragged, 0, name});
  }
}

std::vector<ProgramKey> Blueprint::programs() const {
  std::vector<ProgramKey> keys = training_programs();
  for (const auto& [name, sampler] : samplers_) {
    if (name == "train") continue;
    const std::int64_t batch = sampler->options().batch_size;
    if (sampler->epoch_samples() >= batch) keys.push_back(evaluation(name, batch));
    if (const std::int64_t rest = sampler->epoch_samples() % batch) keys.push_back(evaluation(name, rest));
  }
  add_refresh_programs(keys);
  return keys;
}

std::vector<ProgramKey> Blueprint::training_programs() const {
  if (!trains()) return {};
  std::vector<ProgramKey> keys;
  const Sampler& train = sampler("train");
  const std::int64_t full = train.options().batch_size;
  const std::int64_t ragged = train.epoch_samples() % full;
  const std::int64_t accumulate = spec_.trainer.accumulate;
  int stage = 0;
  const auto add = [&](Phase phase, std::int64_t samples) {
    for (int entry = 0; entry < entries(); ++entry) keys.push_back({phase, "train", samples, entry, "", stage});
  };
  for (const int last = stage_at(schedule_.total_steps - 1); stage <= last; ++stage) {
    if (accumulate == 1) {
      if (train.epoch_samples() >= full) add(Phase::whole, full);
      if (ragged) add(Phase::whole, ragged);
    } else {
      for (const Phase phase : {Phase::begin, Phase::accumulate, Phase::finish}) add(phase, full);
      const std::int64_t in_last_window = train.batches() % accumulate;  // batches of the epoch's last update
      if (in_last_window == 1) add(Phase::whole, ragged ? ragged : full);
      if (in_last_window != 1 && ragged) add(Phase::finish, ragged);
    }
  }
  return keys;
}

std::vector<std::string> Blueprint::splits() const {
  std::vector<std::string> names;
  for (const char* name : {"train", "val", "test"}) {
    if (data_.contains(name)) names.emplace_back(name);
  }
  return names;
}

}  // namespace trainctl
