#include "nn/step.h"

#include <fnmatch.h>

#include <algorithm>
#include <set>

#include "base/text.h"
#include "nn/functional.h"
#include "ops/elementwise.h"
#include "ops/metric.h"

namespace trainctl {

Value Batch::field(std::string_view name) const {
  if (const auto found = fields.find(name); found != fields.end()) return found->second;
  std::vector<std::string> names;
  for (const auto& [known, value] : fields) names.push_back(known);
  fail(ErrorKind::config, "the data has no field '{}'. It has: {}.", name, join(names, ", "));
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

// A parameter that no group has taken yet.
struct Unowned {
  int state;
  std::string name;
};

// The parameters that the group's patterns match, taken out of `unowned`.
std::vector<int> take_matching(const std::string& group, const ParameterGroup& patterns,
                               const std::vector<std::string>& all, std::vector<Unowned>& unowned) {
  const auto matches = [](const std::string& pattern, const std::string& name) {
    return fnmatch(pattern.c_str(), name.c_str(), 0) == 0;
  };
  std::vector<int> taken;
  for (const std::string& pattern : patterns.match) {
    if (std::ranges::none_of(all, [&](const std::string& name) { return matches(pattern, name); })) {
      fail(ErrorKind::config, "optimizer.groups.{}.match: no parameter matches '{}'.{}", group, pattern,
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
         "optimizer.groups.{}: the groups before it take all parameters that it matches; move it up, "
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

void Assembly::declare_groups(StateSpec& state, const Builder& model_graph) {
  require(groups_.empty(), "parameters are grouped once");
  require(&model_graph.graph().state_spec() == &state, "the model's graph has another state");
  std::vector<Unowned> unowned;
  std::vector<std::string> names;
  for (int i = 0; i < state.size(); ++i) {
    if (!state[i].trainable) continue;
    unowned.push_back({i, parameter_name(state[i])});
    names.push_back(unowned.back().name);
  }
  if (unowned.empty()) fail(ErrorKind::config, "the model has no parameters to train");
  const auto declare = [&](const std::string& name, const std::vector<int>& members, const ParameterGroup* overrides) {
    groups_.push_back({name, state.make_group("parameters/" + name, members), overrides});
  };
  for (const auto& [name, group] : optimizer->groups) {
    if (name == rest_group)
      fail(ErrorKind::config, "optimizer.groups.{}: parameters of no group have this name; call it otherwise", name);
    declare(name, take_matching(name, group, names, unowned), &group);
  }
  std::vector<int> rest;
  for (const Unowned& parameter : unowned) rest.push_back(parameter.state);
  if (!rest.empty()) declare(rest_group, rest, nullptr);
}

Values Assembly::apply_model(Builder& builder, const Values& inputs) const {
  const auto cast = [&](const Value& value, DType to) {
    return value.type().dtype == to ? value : builder.apply1("cast", nn::attributes(CastAttributes(to)), {value});
  };
  Values given;
  for (const Value& input : inputs) given.push_back(cast(input, activations));
  Values outputs = model->build(builder, given);
  for (Value& output : outputs) output = cast(output, DType::f32);
  return outputs;
}

/// Each group's gradients, flat; summed over all batches of the update in `finish`.
Values Assembly::gradients(Builder& builder, Value objective, Phase phase) const {
  StateSpec& state = builder.graph().state_spec();
  Values parameters;
  for (const Group& group : groups_) {
    for (const int member : state.members(group.parameters)) parameters.push_back(builder.graph().state(member));
  }
  const Values each = builder.gradients(objective, parameters);
  expect_all_reached(builder.graph(), parameters, each);

  Values flat;
  auto next = each.begin();
  for (const Group& group : groups_) {
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

void Assembly::optimize(Builder& builder, Value objective, Phase phase) const {
  require(phase != Phase::evaluate && !groups_.empty(), "nothing to optimize");
  Graph& graph = builder.graph();
  Value weighted = objective;
  if (phase != Phase::whole) weighted = builder.apply1("scale", nullptr, {objective, graph.scalar("batch_weight")});
  Values flat = gradients(builder, weighted, phase);
  if (phase == Phase::begin || phase == Phase::accumulate) return;

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
  for (std::size_t i = 0; i < groups_.size(); ++i) {
    optimizer->build(builder, {groups_[i].name, groups_[i].parameters, flat[i], scale, finite, groups_[i].overrides});
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
  return reported.metric ? reported.metric->finish(sums, samples) : sums[0] / samples;
}

}  // namespace trainctl
