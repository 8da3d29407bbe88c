#include "nn/step.h"

#include <fnmatch.h>

#include <algorithm>
#include <set>

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
  return found == standardized.end() ? field(name) : found->second.original;
}

Value Batch::in_own_unit(Builder& builder, std::string_view name, Value output) const {
  const auto found = standardized.find(name);
  if (found == standardized.end()) return output;
  const Shape shape = output.shape(), own = found->second.original.shape();
  const bool alike = own.elements() == shape.elements();  // (N) and (N, 1) are taken for each other
  const Value fitting = alike ? nn::reshape(builder, output, own) : output;
  return nn::reshape(builder, unstandardize(builder, name, fitting, *found->second.moments), shape);
}

namespace {

constexpr const char* rest_group = "default";

// "model/0.weight" as patterns see it: "0.weight".
std::string parameter_name(const StateVariable& variable) {
  return variable.name.substr(variable.name.find('/') + 1);
}

// Names to suggest for a pattern: the parameters', and "*.weight" for each kind of them.
std::vector<std::string> pattern_candidates(const std::vector<std::string>& names) {
  std::set<std::string> candidates(names.begin(), names.end());
  for (const std::string& name : names) candidates.insert("*" + name.substr(std::min(name.rfind('.'), name.size())));
  return {candidates.begin(), candidates.end()};
}

bool matches(const std::string& pattern, const std::string& name) {
  return fnmatch(pattern.c_str(), name.c_str(), 0) == 0;
}

// A parameter that no group has taken yet.
struct Unowned {
  int state;
  std::string name;
};

// The parameters that the group's patterns match, taken out of `unowned`.
std::vector<int> take_matching(const std::string& group, const ParameterGroup& patterns,
                               const std::vector<std::string>& all, std::vector<Unowned>& unowned) {
  std::vector<int> taken;
  for (const std::string& pattern : patterns.match) {
    if (std::ranges::none_of(all, [&](const std::string& name) { return matches(pattern, name); })) {
      fail(ErrorKind::config, "{}.match: no parameter matches '{}'.{}", group, pattern,
           suggestion(pattern, pattern_candidates(all)));
    }
    std::erase_if(unowned, [&](const Unowned& parameter) {
      if (!matches(pattern, parameter.name)) return false;
      taken.push_back(parameter.state);
      return true;
    });
  }
  if (taken.empty()) {
    fail(ErrorKind::config,
         "{}: the groups before it take all parameters that it matches; move it up, "
         "or remove it",
         group);
  }
  std::ranges::sort(taken);
  return taken;
}

// Unsaved state in which a group's gradients lie.
int flat_state(StateSpec& state, const std::string& name, int like) {
  return state.declare({name, state[like].type, Init::zeros(), false});
}

void expect_all_reached(const Graph& graph, const Values& parameters, const Values& gradients) {
  std::vector<std::string> unreached;
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    if (!gradients[i]) unreached.push_back(parameter_name(graph.state_spec()[graph.info(parameters[i].id()).state]));
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

void Assembly::freeze(StateSpec& state) const {
  for (const NamedModel& each : models) {
    const std::string prefix = prefix_of(each.name);
    std::vector<std::string> names;
    for (int i = 0; i < state.size(); ++i) {
      if (state[i].trainable && state[i].name.starts_with(prefix)) names.push_back(state[i].name.substr(prefix.size()));
    }
    for (const std::string& pattern : each.model->freeze) {
      bool any = false;
      for (const std::string& name : names) {
        if (!matches(pattern, name)) continue;
        any = true;
        state.set_trainable(state.find(prefix + name), false);
      }
      if (!any && !names.empty()) {
        fail(ErrorKind::config, "{}.freeze: no parameter matches '{}'.{}",
             each.name.empty() ? "model" : "models." + each.name, pattern,
             suggestion(pattern, pattern_candidates(names)));
      }
    }
  }
}

std::vector<std::string> Assembly::models_of(std::size_t optimizer) const {
  const NamedOptimizer& own = optimizers[optimizer];
  if (!own.optimizer->trains.empty()) return own.optimizer->trains;
  if (!own.name.empty()) return {own.name};
  std::vector<std::string> all;
  for (const NamedModel& each : models) all.push_back(each.name);
  return all;
}

void Assembly::declare_groups(StateSpec& state) {
  require(groups_.empty(), "parameters are grouped once");
  freeze(state);
  for (std::size_t i = 0; i < optimizers.size(); ++i) {
    try {
      declare_groups(state, i);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::config || !optimizers[i].source.file) throw;
      throw ConfigError({{optimizers[i].source, "", error.what()}}, 1);
    }
  }
}

void Assembly::declare_groups(StateSpec& state, std::size_t index) {
  const auto& [optimizer_name, optimizer, source] = optimizers[index];
  std::vector<Unowned> unowned;
  std::vector<std::string> names;
  for (const std::string& model_name : models_of(index)) {
    (void)model(model_name);
    for (int i = 0; i < state.size(); ++i) {
      if (!state[i].trainable || !state[i].name.starts_with(prefix_of(model_name))) continue;
      if (state[i].root >= 0)
        fail(ErrorKind::config, "two optimizers would update {}; let `trains` name other models",
             parameter_name(state[i]));
      unowned.push_back({i, parameter_name(state[i])});
      names.push_back(unowned.back().name);
    }
  }
  if (unowned.empty()) fail(ErrorKind::config, "the model has no parameters to train");
  const std::string path = optimizer_name.empty() ? "optimizer" : "optimizers." + optimizer_name;
  const auto declare = [&](const std::string& group, const std::vector<int>& members, const ParameterGroup* overrides) {
    const std::string name = optimizer_name.empty() ? group
                             : group == rest_group  ? optimizer_name
                                                    : optimizer_name + "." + group;
    groups_.push_back({name, state.make_group("parameters/" + name, members), overrides, index});
  };
  for (const auto& [name, group] : optimizer->groups) {
    if (name == rest_group)
      fail(ErrorKind::config, "{}.groups.{}: parameters of no group have this name; call it otherwise", path, name);
    declare(name, take_matching(fmt::format("{}.groups.{}", path, name), group, names, unowned), &group);
  }
  std::vector<int> rest;
  for (const Unowned& parameter : unowned) rest.push_back(parameter.state);
  if (!rest.empty()) declare(rest_group, rest, nullptr);
}

Values Assembly::apply_model(Builder& builder, std::string_view name, const Values& inputs) const {
  const auto cast = [&](const Value& value, DType to) {
    const DType from = value.type().dtype;
    if (from == DType::i64 || from == DType::i32) return value;  // an embedding's
    return from == to ? value : builder.apply1("cast", nn::attributes(CastAttributes(to)), {value});
  };
  const Model& used = model(name);
  const Builder::ModelScope scope(builder, prefix_of(name), builder.training() && !used.frozen());
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

void Assembly::optimize(Builder& builder, Value objective, Phase phase, std::string_view optimizer,
                        Value weight) const {
  require(phase != Phase::evaluate && !groups_.empty(), "nothing to optimize");
  const auto found = std::ranges::find(optimizers, optimizer, &NamedOptimizer::name);
  if (found == optimizers.end()) {
    if (optimizer.empty()) fail(ErrorKind::config, "the step takes one `optimizer`, not several");
    fail(ErrorKind::config, "the step needs `optimizers.{}`", optimizer);
  }
  std::vector<Group> groups;
  std::ranges::copy_if(groups_, std::back_inserter(groups), [&](const Group& group) {
    return group.optimizer == static_cast<std::size_t>(found - optimizers.begin());
  });
  Graph& graph = builder.graph();
  Value weighted = objective;
  if (phase != Phase::whole)
    weighted = builder.apply1("scale", nullptr, {objective, weight ? weight : graph.scalar("batch_weight")});
  Values flat = gradients(builder, weighted, phase, groups);
  const Value total = weight && phase != Phase::whole ? total_weight(builder, optimizer, weight, phase) : Value();
  if (phase == Phase::begin || phase == Phase::accumulate) return;
  if (total) {
    const Value factor = builder.apply1("reciprocal", nullptr, {total});
    for (Value& gradient : flat) gradient = builder.apply1("scale", nullptr, {gradient, factor});
  }

  if (clip_grad_value) {
    for (Value& gradient : flat)
      gradient = builder.apply1("clamp", nullptr, {gradient, graph.constant(*clip_grad_value)});
  }
  Value norm, scale, finite;
  if (clip_grad_norm || (skip_nonfinite && phase == Phase::finish)) norm = builder.apply1("global_norm", nullptr, flat);
  if (clip_grad_norm) scale = builder.apply1("clip_factor", nullptr, {norm, graph.constant(*clip_grad_norm)});
  if (skip_nonfinite) {
    // The losses of an update's earlier batches are known only by their gradients.
    finite = builder.apply1("is_finite", nullptr, norm ? Values{objective, norm} : Values{objective});
  }
  for (std::size_t i = 0; i < groups.size(); ++i) {
    found->optimizer->build(builder,
                            {groups[i].name, groups[i].parameters, flat[i], scale, finite, groups[i].overrides});
  }
}

void Assembly::report(Builder& builder, std::string_view split, std::string_view name,
                      const std::vector<Metric::Term>& terms, const Metric* metric) {
  Graph& graph = builder.graph();
  std::vector<int> sums;
  for (const Metric::Term& term : terms) {
    const int sum = graph.state_spec().declare(
        {fmt::format("metrics/{}/{}/{}", split, name, sums.size()), {DType::f64, {}}, Init::zeros()});
    graph.update(sum, builder.apply1("accumulate", nn::attributes(AccumulateAttributes(term.factor)),
                                     {graph.latest(sum), term.value}));
    sums.push_back(sum);
  }
  std::vector<Reported>& known = reported_.try_emplace(std::string(split)).first->second;
  const auto found = std::ranges::find(known, name, &Reported::name);
  if (found == known.end())
    known.push_back({std::string(name), sums, metric});
  else
    require(found->sums == sums, "a metric has another number of sums than before");
}

const std::vector<Assembly::Reported>& Assembly::reported(std::string_view split) const {
  static const std::vector<Reported> none;
  const auto found = reported_.find(split);
  return found == reported_.end() ? none : found->second;
}

double Assembly::finish(const Reported& reported, std::span<const double> sums, double samples) {
  if (reported.metric) return reported.metric->finish(sums, samples);
  return sums[0] / (sums.size() > 1 ? sums[1] : samples);
}

}  // namespace trainctl
