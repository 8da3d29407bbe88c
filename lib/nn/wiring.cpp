#include "nn/wiring.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <set>

#include "base/text.h"
#include "nn/located.h"

namespace trainctl {

void refuse_inputs(const Component<Layer>& layer) {
  if (!layer->inputs) return;
  located(
      layer.source(), [&] { return layer.type(); },
      [] { fail(ErrorKind::config, "only nodes of a graph have 'inputs'; here a layer reads the one before it"); });
}

void Wiring::add(std::string name, const Component<Layer>& layer, std::vector<std::string> inputs) {
  std::string scope = name;
  add(std::move(name), std::move(scope), layer, std::move(inputs));
}

void Wiring::add(std::string name, std::string scope, const Component<Layer>& layer, std::vector<std::string> inputs) {
  require(static_cast<bool>(layer), "a container holds a layer that was never read");
  wires_.push_back({std::move(name), std::move(scope), &layer, layer->repeat, std::move(inputs)});
}

std::string Wiring::add_chain(std::string_view prefix, const std::vector<Component<Layer>>& layers,
                              std::string_view input) {
  std::string before(input);
  std::int64_t place = 0;
  for (const Component<Layer>& layer : layers) {
    refuse_inputs(layer);
    const bool named = layer->name.has_value();
    const std::int64_t times = named ? 1 : layer->repeat;
    for (std::int64_t k = 0; k < times; ++k) {
      const std::string name = fmt::format("{}{}", prefix, named ? *layer->name : std::to_string(place + k));
      add(name, layer, {before});
      if (!named) wires_.back().repeat = 1;
      before = name;
    }
    place += layer->repeat;
  }
  return before;
}

/// One building of the layers.
class Wiring::Run {
 public:
  Run(const std::vector<Wire>& wires, const std::vector<std::string>& input_names, Builder& builder,
      const Values& inputs)
      : wires_(wires), input_names_(input_names), builder_(builder), inputs_(inputs), states_(wires.size()) {
    std::set<std::string_view> scopes;
    for (const Wire& wire : wires) {
      if (!scopes.insert(wire.scope).second) {
        located(
            wire.layer->source(), [&] { return wire.layer->type(); },
            [&] {
              fail(ErrorKind::config, "a layer named '{}' is there already; their parameters would be one", wire.scope);
            });
      }
    }
  }

  void build_all() {
    for (std::size_t i = 0; i < wires_.size(); ++i) build(i);
  }

  /// What a name stands for; `reader` says who asks.
  Values read(const std::string& reference, std::string_view reader) {
    if (const auto given = std::ranges::find(input_names_, reference); given != input_names_.end())
      return {inputs_.at(static_cast<std::size_t>(given - input_names_.begin()))};
    if (reference == "input") return inputs_;
    if (const int index = find(reference); index >= 0) return build(index);
    // "name.2", unless a name has the whole.
    const std::size_t dot = reference.rfind('.');
    std::size_t output = 0;
    if (dot != std::string::npos && parse(reference.substr(dot + 1), output)) {
      const std::string name = reference.substr(0, dot);
      if (name == "input" || find(name) >= 0) {
        const Values values = read(name, reader);
        if (output < values.size()) return {values[output]};
        fail(ErrorKind::config, "{} '{}', but '{}' gives {}", reader, reference, name, counted(values.size(), "value"));
      }
    }
    std::vector<std::string> names{"input"};
    names.insert(names.end(), input_names_.begin(), input_names_.end());
    for (const Wire& wire : wires_) names.push_back(wire.name);
    fail(ErrorKind::config, "{} '{}', which is no node.{}", reader, reference, suggestion(reference, names));
  }

  Values last() { return wires_.empty() ? inputs_ : build(wires_.size() - 1); }

 private:
  struct State {
    bool building = false;
    std::optional<Values> values;
  };

  static bool parse(const std::string& text, std::size_t& number) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    return error == std::errc() && end == text.data() + text.size();
  }

  int find(std::string_view name) const {
    for (std::size_t i = 0; i < wires_.size(); ++i) {
      if (wires_[i].name == name) return static_cast<int>(i);
    }
    return -1;
  }

  const Values& build(std::size_t index) {
    const Wire& wire = wires_[index];
    State& state = states_[index];
    if (state.values) return *state.values;
    Values values = located(
        wire.layer->source(), [&] { return fmt::format("'{}'", wire.name); },
        [&] {
          if (state.building) fail(ErrorKind::config, "it reads, over other nodes, what it gives itself");
          state.building = true;
          return inputs_of(index);
        });
    for (std::int64_t k = 0; k < wire.repeat; ++k) {
      const std::string number = wire.repeat > 1 ? std::to_string(k) : "";
      const bool both = !wire.scope.empty() && !number.empty();
      values = build_once(builder_, *wire.layer, wire.scope + (both ? "." : "") + number, values);
    }
    return state.values.emplace(std::move(values));
  }

  Values inputs_of(std::size_t index) {
    const Wire& wire = wires_[index];
    if (wire.inputs.empty()) return index == 0 ? inputs_ : build(index - 1);
    Values values;
    for (const std::string& reference : wire.inputs) {
      const Values read_values = read(reference, "it reads");
      values.insert(values.end(), read_values.begin(), read_values.end());
    }
    return values;
  }

  const std::vector<Wire>& wires_;
  const std::vector<std::string>& input_names_;
  Builder& builder_;
  const Values& inputs_;
  std::vector<State> states_;
};

Values Wiring::build(Builder& builder, const Values& inputs, std::span<const std::string> outputs) const {
  Run run(wires_, input_names_, builder, inputs);
  run.build_all();
  if (outputs.empty()) return run.last();
  Values values;
  for (const std::string& output : outputs) {
    const Values given = run.read(output, "'outputs' has");
    values.insert(values.end(), given.begin(), given.end());
  }
  return values;
}

}  // namespace trainctl
