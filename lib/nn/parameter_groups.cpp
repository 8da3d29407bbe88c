// Which parameters are trained, when, and by which optimizer: Assembly's groups.
#include <fnmatch.h>

#include <algorithm>
#include <set>

#include "base/text.h"
#include "nn/step.h"

namespace trainctl {
namespace {

constexpr const char* rest_group = "default";

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

// Runs `body`; what it complains about is shown at `source`.
template <typename Body>
void at(const Source& source, Body body) {
  try {
    body();
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::config || !source.file) throw;
    throw ConfigError({{source, "", error.what()}}, 1);
  }
}

// Which of the model's parameters a pattern of `key` matches; a config Error if none.
std::vector<std::string> matching(const std::string& pattern, const std::vector<std::string>& names,
                                  const std::string& model_name, const char* key) {
  std::vector<std::string> found;
  std::ranges::copy_if(names, std::back_inserter(found),
                       [&](const std::string& name) { return matches(pattern, name); });
  if (found.empty() && !names.empty()) {
    fail(ErrorKind::config, "{}.{}: no parameter matches '{}'.{}",
         model_name.empty() ? "model" : "models." + model_name, key, pattern,
         suggestion(pattern, pattern_candidates(names)));
  }
  return found;
}

}  // namespace

std::string Assembly::parameter_name(const StateVariable& variable) {
  return variable.name.substr(variable.name.find('/') + 1);
}

void Assembly::freeze(StateSpec& state, const NamedModel& each, const StepsOf& steps,
                      std::map<int, std::int64_t>& begins) const {
  const std::string prefix = prefix_of(each.name);
  std::vector<std::string> names;
  for (int i = 0; i < state.size(); ++i) {
    if (state[i].trainable && state[i].name.starts_with(prefix)) names.push_back(state[i].name.substr(prefix.size()));
  }
  const auto& until = each.model->freeze_until;
  require(!until || steps, "times of freeze_until need a schedule");
  const Progress* of_all = until ? std::get_if<Progress>(&*until) : nullptr;
  std::set<std::string> forever;
  for (const std::string& pattern : each.model->freeze) {
    for (const std::string& name : matching(pattern, names, each.name, "freeze")) {
      if (of_all)
        begins.emplace(state.find(prefix + name), steps(*of_all));
      else
        forever.insert(name);
    }
  }
  if (until && !of_all) {
    for (const auto& [pattern, time] : std::get<OrderedMap<Progress>>(*until)) {
      for (const std::string& name : matching(pattern, names, each.name, "freeze_until")) {
        begins.emplace(state.find(prefix + name), steps(time));  // the first pattern counts
        forever.erase(name);
      }
    }
  }
  for (const std::string& name : forever) state.set_trainable(state.find(prefix + name), false);
}

void Assembly::freeze(StateSpec& state, const StepsOf& steps) {
  std::map<int, std::int64_t> begins;
  for (const NamedModel& each : models) at(each.model->root.source(), [&] { freeze(state, each, steps, begins); });
  std::set<std::int64_t> times;
  for (const auto& [parameter, begin] : begins) times.insert(begin);
  stage_begins_.assign(times.begin(), times.end());
  for (const auto& [parameter, begin] : begins)
    stages_[parameter] = 1 + static_cast<int>(std::distance(times.begin(), times.find(begin)));
}

bool Assembly::frozen_now(const Model& used, std::string_view name, const StateSpec& state) const {
  if (!used.freezes_all()) return false;
  const std::string prefix = prefix_of(name);
  for (int i = 0; i < state.size(); ++i) {
    if (!state[i].trainable || !state[i].name.starts_with(prefix)) continue;
    const auto later = stages_.find(i);
    if (later == stages_.end() || later->second <= stage) return false;
  }
  return true;
}

std::vector<std::string> Assembly::models_of(std::size_t optimizer) const {
  const NamedOptimizer& own = optimizers[optimizer];
  if (!own.optimizer->trains.empty()) return own.optimizer->trains;
  if (!own.name.empty()) return {own.name};
  std::vector<std::string> all;
  for (const NamedModel& each : models) all.push_back(each.name);
  return all;
}

void Assembly::declare_groups(StateSpec& state, const StepsOf& steps) {
  require(groups_.empty(), "parameters are grouped once");
  freeze(state, steps);
  for (std::size_t i = 0; i < optimizers.size(); ++i) at(optimizers[i].source, [&] { declare_groups(state, i); });
  if (!groups_.empty() && std::ranges::none_of(groups_, [](const Group& group) { return group.stage == 0; })) {
    fail(ErrorKind::config, "freeze_until leaves nothing to train before step {}; leave some parameters free",
         stage_begins_.front());
  }
}

void Assembly::declare_groups(StateSpec& state, std::size_t index) {
  const std::string& optimizer_name = optimizers[index].name;
  const Optimizer* optimizer = optimizers[index].optimizer;
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
    std::map<int, std::vector<int>> by_stage;
    for (const int member : members) {
      const auto later = stages_.find(member);
      by_stage[later == stages_.end() ? 0 : later->second].push_back(member);
    }
    for (const auto& [from, own] : by_stage) {
      const std::string staged = from == 0 ? name : fmt::format("{}.stage{}", name, from);
      groups_.push_back({staged, state.make_group("parameters/" + staged, own), overrides, index, from});
    }
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

}  // namespace trainctl
