#include "train/average.h"

#include <algorithm>

#include "base/error.h"
#include "ops/norm.h"
#include "train/value_policy.h"

namespace trainctl {
namespace {

/// Updates after which the weights are taken up: from `first` on, `every` apart.
struct Times {
  std::int64_t first, every;
  Times(const Average& average, const Schedule& schedule)
      : first(schedule.steps(average.start)), every(std::max<std::int64_t>(1, schedule.steps(average.every))) {
    if (first == 0) first = every;
  }
};

}  // namespace

std::int64_t Average::taken(std::int64_t steps, const Schedule& schedule) const {
  const Times times(*this, schedule);
  return steps < times.first ? 0 : (steps - times.first) / times.every + 1;
}

double Average::rate(std::int64_t steps, const Schedule& schedule) const {
  const Times times(*this, schedule);
  if (steps <= times.first) return 1.0;
  const std::int64_t since = steps - times.first;
  return since % times.every == 0 ? share(since / times.every) : 0.0;
}

void Average::check(Diagnostics& diagnostics, const Node& node) const {
  refuse_zero(every, "every", diagnostics, node);
  if (refresh_batches && buffers != AverageBuffers::refresh)
    diagnostics.error(node, "'refresh_batches' is for 'buffers: refresh'; add that, or remove it.");
}

std::string average_path(std::string_view average, std::string_view variable) {
  return fmt::format("average/{}/{}", average, variable.substr(variable.find('/') + 1));
}

std::string AverageStates::rate_name(std::string_view average) {
  return fmt::format("averages.{}.rate", average);
}

const AverageStates::One& AverageStates::find(std::string_view average) const {
  const auto found = std::ranges::find(all_, average, &One::name);
  require(found != all_.end(), "an average that is not declared");
  return *found;
}

void AverageStates::declare(StateSpec& state, const Named<Average>& averages, const std::vector<int>& statistics) {
  std::vector<int> groups;
  for (int i = 0; i < state.size(); ++i) {
    if (state[i].name.starts_with("parameters/")) groups.push_back(i);
  }
  for (const auto& [name, average] : averages) {
    One one{.name = name, .averaged = {}, .stand_ins = {}, .refreshed = {}};
    for (const int group : groups) {
      const std::string root = fmt::format("averages/{}/{}", name, state[group].name);
      one.averaged[group] = state.make_group_like(root, group, fmt::format("average/{}", name), Init::zeros(), true);
      for (const int member : state.members(group))
        one.stand_ins[member] = state.find(average_path(name, state[member].name));
    }
    for (const int own : statistics) {
      if (average->buffers == AverageBuffers::model) break;
      const int other = state.declare({average_path(name, state[own].name), state[own].type, Init::zeros()});
      one.averaged[own] = one.stand_ins[own] = other;
      if (average->buffers == AverageBuffers::refresh) one.refreshed.insert(other);
    }
    all_.push_back(std::move(one));
  }
}

void AverageStates::update(Builder& builder) const {
  Graph& graph = builder.graph();
  for (const One& one : all_) {
    const Builder::Scope scope(builder, fmt::format("averages.{}", one.name));
    const Value rate = graph.scalar(rate_name(one.name));
    for (const auto& [own, other] : one.averaged) {
      const Values operands{graph.state(other), graph.latest(own), rate};
      graph.update(other, builder.apply1("moving_average", std::make_shared<MovingAverageAttributes>(), operands));
    }
  }
}

}  // namespace trainctl
