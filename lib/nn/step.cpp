#include "nn/step.h"

#include <algorithm>
#include <utility>

#include "base/text.h"
#include "nn/functional.h"
#include "nn/located.h"
#include "ops/elementwise.h"
#include "ops/metric.h"

namespace trainctl {

Value Batch::field(std::string_view name) const {
  if (const auto found = fields.find(name); found != fields.end()) return found->second;
  std::vector<std::string> names;
  for (const auto& [known, value] : fields) names.push_back(known);
  fail(ErrorKind::config, "the data has no field '{}'. It has: {}.", name, join(names, ", "));
}

Value Batch::original(std::string_view name) const {
  const auto found = standardized.find(name);
  return found == standardized.end() || !found->second.original ? field(name) : found->second.original;
}

Value Batch::in_own_unit(Builder& builder, std::string_view name, Value output) const {
  const auto found = standardized.find(name);
  if (found == standardized.end()) return output;
  if (!found->second.original) return unstandardize(builder, name, output, *found->second.moments);
  const Shape shape = output.shape(), own = found->second.original.shape();
  const bool alike = own.elements() == shape.elements();  // (N) and (N, 1) are taken for each other
  const Value fitting = alike ? nn::reshape(builder, output, own) : output;
  return nn::reshape(builder, unstandardize(builder, name, fitting, *found->second.moments), shape);
}

namespace {

// Unsaved state in which a group's gradients lie.
int flat_state(StateSpec& state, const std::string& name, int like) {
  return state.declare({name, state[like].type, Init::zeros(), false});
}

void expect_all_reached(const Graph& graph, const Values& parameters, const Values& gradients) {
  std::vector<std::string> unreached;
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    if (!gradients[i])
      unreached.push_back(Assembly::parameter_name(graph.state_spec()[graph.info(parameters[i].id()).state]));
  }
  if (unreached.empty()) return;
  fail(ErrorKind::config, "the loss does not depend on {}; remove the layer, or use what it gives",
       join(unreached, ", "));
}

}  // namespace

std::string Assembly::prefix_of(std::string_view model_name) {
  return model_name.empty() ? "model/" : fmt::format("models/{}/", model_name);
}

const Model& Assembly::model(std::string_view name) const {
  if (name.empty() && models.size() == 1) return *models[0].model;
  const auto found = std::ranges::find(models, name, &NamedModel::name);
  if (found != models.end()) return *found->model;
  std::vector<std::string> names;
  for (const NamedModel& known : models) names.push_back(known.name.empty() ? "model" : known.name);
  fail(ErrorKind::config, "the step needs a model '{}' under `models`. There {}: {}.", name,
       names.size() == 1 ? "is" : "are", join(names, ", "));
}

const Component<Loss>& Assembly::required_loss(std::string_view step) const {
  if (!loss) fail(ErrorKind::config, "the step '{}' needs a `loss`", step);
  return *loss;
}

Values Assembly::apply_model(Builder& builder, std::string_view name, const Values& inputs) const {
  const auto cast = [&](const Value& value, DType to) {
    const DType from = value.type().dtype;
    if (from == DType::i64 || from == DType::i32) return value;  // an embedding's
    return from == to ? value : builder.apply1("cast", nn::attributes(CastAttributes(to)), {value});
  };
  const Model& used = model(name);
  const Builder::ModelScope scope(builder, prefix_of(name),
                                  builder.training() && !frozen_now(used, name, builder.graph().state_spec()));
  Values given;
  for (const Value& input : inputs) given.push_back(cast(input, activations));
  Values outputs = used.build(builder, given);
  for (Value& output : outputs) output = cast(output, DType::f32);
  return outputs;
}

void Assembly::report_metrics(Builder& builder, std::string_view split, Value output, Value target) {
  for (const auto& [name, metric] : *metrics) {
    const auto what = [&name = name] { return fmt::format("metric '{}'", name); };
    const auto terms =
        located(metric.source(), what, [&, &metric = metric] { return metric->build(builder, output, target); });
    report(builder, split, name, terms, metric.get());
  }
}

void Assembly::give_output(Builder& builder, std::string_view model_name, Value output) const {
  const Component<Layer>& activation = model(model_name).output;
  if (activation) {
    const Builder::ModelScope scope(builder, prefix_of(model_name), false);
    output = only(build_child(builder, activation, "output", {output}), "the model's output");
  }
  builder.graph().output("output", output);
}

/// Each group's gradients, flat; summed over all batches of the update in `finish`.
Values Assembly::gradients(Builder& builder, Value objective, Phase phase, const std::vector<Group>& groups) const {
  StateSpec& state = builder.graph().state_spec();
  Values parameters;
  for (const Group& group : groups) {
    for (const int member : state.members(group.parameters)) parameters.push_back(builder.graph().state(member));
  }
  const Values each = builder.gradients(objective, parameters);
  expect_all_reached(builder.graph(), parameters, each);

  Values flat;
  auto next = each.begin();
  for (const Group& group : groups) {
    PackAttributes pack;
    pack.total = state[group.parameters].type.elements();
    pack.group = group.parameters;
    for (const int member : state.members(group.parameters)) pack.offsets.push_back(state[member].root_offset);
    const auto end = next + static_cast<std::ptrdiff_t>(pack.offsets.size());
    const Value packed = builder.apply1("pack", nn::attributes(pack), Values(next, end));
    flat.push_back(accumulate(builder, group, packed, phase));
    next = end;
  }
  return flat;
}

Value Assembly::accumulate(Builder& builder, const Group& group, Value packed, Phase phase) const {
  Graph& graph = builder.graph();
  const auto state = [&](const char* purpose) {
    return flat_state(graph.state_spec(), purpose + group.name, group.parameters);
  };
  if (phase == Phase::begin) {
    graph.update(state("accumulated/"), packed);
    return packed;
  }
  graph.update(state("gradients/"), packed);
  if (phase == Phase::whole) return packed;
  const int accumulated = state("accumulated/");
  const Value sum = builder.apply1("add", nullptr, {graph.state(accumulated), packed});
  graph.update(accumulated, sum);
  return sum;
}

Value Assembly::total_weight(Builder& builder, std::string_view optimizer, Value weight, Phase phase) const {
  Graph& graph = builder.graph();
  const int state = graph.state_spec().declare(
      {fmt::format("accumulated_weight/{}", optimizer), {DType::f32, {}}, Init::zeros(), false});
  const Value total = phase == Phase::begin ? weight : builder.apply1("add", nullptr, {graph.state(state), weight});
  graph.update(state, total);
  return phase == Phase::finish ? total : Value();
}

void Assembly::optimize(Builder& builder, Value objective, Phase phase, std::string_view optimizer, Value weight) {
  require(phase != Phase::evaluate && !groups_.empty(), "nothing to optimize");
  const auto found = std::ranges::find(optimizers, optimizer, &NamedOptimizer::name);
  if (found == optimizers.end()) {
    if (optimizer.empty()) fail(ErrorKind::config, "the step takes one `optimizer`, not several");
    fail(ErrorKind::config, "the step needs `optimizers.{}`", optimizer);
  }
  std::vector<Group> groups;
  std::ranges::copy_if(groups_, std::back_inserter(groups), [&](const Group& group) {
    return group.optimizer == static_cast<std::size_t>(found - optimizers.begin()) && group.stage <= stage;
  });
  if (groups.empty()) return;  // all that it updates is frozen at this stage
  Graph& graph = builder.graph();
  Value weighted = objective;
  if (phase != Phase::whole)
    weighted = builder.apply1("scale", nullptr, {objective, weight ? weight : graph.scalar("batch_weight")});
  Values flat = gradients(builder, weighted, phase, groups);
  const Value total = weight && phase != Phase::whole ? total_weight(builder, optimizer, weight, phase) : Value();
  if (phase == Phase::begin || phase == Phase::accumulate) {
    if (skip_nonfinite) finite_ = builder.apply1("is_finite", nullptr, {objective});
    return;
  }
  if (total) {
    const Value factor = builder.apply1("reciprocal", nullptr, {total});
    for (std::size_t i = 0; i < groups.size(); ++i) {
      flat[i] = builder.apply1("scale", nullptr, {flat[i], factor});
      graph.update(flat_state(graph.state_spec(), "accumulated/" + groups[i].name, groups[i].parameters), flat[i]);
    }
  }

  if (clip_grad_value) {
    for (Value& gradient : flat)
      gradient = builder.apply1("clamp", nullptr, {gradient, graph.constant(*clip_grad_value)});
  }
  Value norm, scale;
  if (clip_grad_norm || skip_nonfinite) norm = builder.apply1("global_norm", nullptr, flat);
  if (clip_grad_norm) scale = builder.apply1("clip_factor", nullptr, {norm, graph.constant(*clip_grad_norm)});
  if (skip_nonfinite) finite_ = builder.apply1("is_finite", nullptr, {objective, norm});
  for (std::size_t i = 0; i < groups.size(); ++i) {
    found->optimizer->build(builder,
                            {groups[i].name, groups[i].parameters, flat[i], scale, finite_, groups[i].overrides});
  }
}

namespace {

// state + factor * value becomes the state's next version, which is returned.
Value add_to(Builder& builder, int state, double factor, Value value) {
  Graph& graph = builder.graph();
  const Value next =
      builder.apply1("accumulate", nn::attributes(AccumulateAttributes(factor)), {graph.latest(state), value});
  graph.update(state, next);
  return next;
}

bool ends_update(Phase phase) {
  return phase == Phase::whole || phase == Phase::finish;
}

}  // namespace

// Saved state other than the optimizer's, which has the flag already, keeps its value where `finite` is 0.
void Assembly::skip(Builder& builder, const StepProgram& program, std::int64_t samples, Value finite) {
  Graph& graph = builder.graph();
  const auto made_by_optimizer = [&](const Graph::Update& update) {
    const std::vector<int>& inputs = graph.nodes()[graph.info(update.value).node].inputs;
    return std::ranges::find(inputs, finite.id()) != inputs.end();
  };
  for (const Graph::Update update : std::vector<Graph::Update>(graph.updates())) {
    if (!graph.state_spec()[update.state].saved || made_by_optimizer(update)) continue;
    const Value next(&graph, update.value);
    graph.update(update.state, builder.apply1("select", nullptr, {finite, next, graph.state(update.state)}));
  }
  // All are counted as skipped, and taken off again where they were not.
  const std::string name =
      program.entry == 0 ? "skipped_updates" : fmt::format("skipped_updates_{}", program.entry + 1);
  const double counts[] = {ends_update(program.phase) ? 1.0 : 0.0, static_cast<double>(samples)};
  const Value one = graph.constant(1.0);
  report(builder, program.split, name, {{one, counts[0]}, {one, counts[1]}});
  Reported& reported = *std::ranges::find(reported_.find(program.split)->second, name, &Reported::name);
  reported.skipped = true;
  reported.entry = program.entry;
  for (std::size_t i = 0; i < 2; ++i) add_to(builder, reported.sums[i], -counts[i], finite);
}

void Assembly::guard(Builder& builder, const StepProgram& program, std::int64_t samples) {
  Graph& graph = builder.graph();
  const Builder::Scope scope(builder, "trainer.on_nan");
  Values losses;
  for (Reported& reported : reported_[std::string(program.split)]) {
    const auto updated = [&](const Graph::Update& update) { return update.state == reported.sums.front(); };
    if (reported.skipped || std::ranges::none_of(graph.updates(), updated)) continue;
    reported.entry = program.entry;
    if (!reported.metric) losses.push_back(graph.latest(reported.sums.front()));
  }
  if (const Value finite = std::exchange(finite_, {})) skip(builder, program, samples, finite);
  if (!ends_update(program.phase)) return;
  const std::string name = fmt::format("health/finite_updates/{}", program.entry);
  const int count = graph.state_spec().declare({name, {DType::f64, {}}, Init::zeros()});
  finite_updates_.resize(std::max<std::size_t>(finite_updates_.size(), program.entry + 1), -1);
  finite_updates_[program.entry] = count;
  add_to(builder, count, 1.0, builder.apply1("is_finite", nullptr, losses));
}

void Assembly::report(Builder& builder, std::string_view split, std::string_view name,
                      const std::vector<Metric::Term>& terms, const Metric* metric) {
  if (metrics->is_off(name) || (metric && !metric->training && split == "train")) return;
  Graph& graph = builder.graph();
  std::vector<int> sums;
  std::size_t numbers = 0;
  for (const Metric::Term& term : terms) {
    const Shape shape = term.value.shape();
    const int sum = graph.state_spec().declare(
        {fmt::format("metrics/{}/{}/{}", split, name, sums.size()), {DType::f64, shape}, Init::zeros()});
    add_to(builder, sum, term.factor, term.value);
    sums.push_back(sum);
    numbers += static_cast<std::size_t>(shape.elements());
  }
  std::vector<Reported>& known = reported_.try_emplace(std::string(split)).first->second;
  const auto found = std::ranges::find(known, name, &Reported::name);
  if (found == known.end())
    known.push_back({.name = std::string(name), .sums = sums, .metric = metric, .numbers = numbers});
  else
    require(found->sums == sums, "a metric has another number of sums than before");
}

const std::vector<Assembly::Reported>& Assembly::reported(std::string_view split) const {
  static const std::vector<Reported> none;
  const auto found = reported_.find(split);
  return found == reported_.end() ? none : found->second;
}

double Assembly::finish(const Reported& reported, std::span<const double> sums, double samples) {
  if (reported.skipped) return sums[0];
  if (reported.metric) return reported.metric->finish(sums, samples);
  return sums[0] / (sums.size() > 1 ? sums[1] : samples);
}

void Step::predict(Builder&, Assembly&, const StepProgram&, const Batch&) const {
  fail(ErrorKind::config, "it does not say what its models predict; override Step::predict");
}

}  // namespace trainctl
