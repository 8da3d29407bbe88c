// What the tests of lib/nn share: a model from YAML, its graph, deterministic values for the interpreter.
#pragma once

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "base/philox.h"
#include "graph/interpreter.h"
#include "nn/model.h"
#include "nn/step.h"
#include "schema/yaml.h"

namespace trainctl::test {

template <typename T>
T from_yaml(const std::string& text, const std::string& path = "") {
  const Node node = parse_yaml_text(text, "spec.yaml");
  T value{};
  Diagnostics diagnostics;
  diagnostics.set_path(path);
  read(value, node, diagnostics);
  diagnostics.throw_if_any();
  return value;
}

/// The message of the config error that `body` throws; "" if it throws none.
template <typename Body>
std::string refusal(Body body) {
  try {
    body();
  } catch (const Error& error) {
    return error.kind() == ErrorKind::config ? error.what() : std::string("NOT A CONFIG ERROR: ") + error.what();
  }
  return "";
}

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// Numbers in (-1, 1) that only the name and the index decide.
inline double number_at(const std::string& name, std::int64_t index) {
  const Words4 words = philox4x32({{static_cast<std::uint32_t>(index), 0, 0, 0}}, stream_hash(7, name));
  return 2.0 * uniform_float(words.word[0]) - 1.0;
}

inline RefTensor numbers(const std::string& name, const Shape& shape, double scale = 1.0) {
  RefTensor tensor(shape);
  for (std::int64_t i = 0; i < tensor.size(); ++i) tensor[i] = scale * number_at(name, i);
  return tensor;
}

/// A graph, its state, and the builder over it.
struct Bench {
  StateSpec state;
  BuildContext context;
  Graph graph{state};
  Builder builder;
  Bindings bindings;

  explicit Bench(bool training = true) : builder(graph, context, training) {}

  /// An f32 input of that shape, bound to numbers.
  Value input(const Shape& shape, const std::string& name = "input") {
    bindings.inputs[name] = numbers(name, shape);
    return graph.input(name, {DType::f32, shape});
  }
  /// Class numbers 0, 1, ... in turn.
  Value classes(std::int64_t samples, std::int64_t count, const std::string& name = "target") {
    RefTensor tensor({samples});
    for (std::int64_t i = 0; i < samples; ++i) tensor[i] = static_cast<double>((i * 2 + 1) % count);
    bindings.inputs[name] = tensor;
    return graph.input(name, {DType::i64, {samples}});
  }
  Interpretation run() { return interpret(graph, bindings); }
};

/// Start of a variable: its constant, or numbers of its distribution's scale.
inline RefTensor start_of(const StateVariable& variable) {
  if (variable.init.kind == Init::Kind::constant) return RefTensor(variable.type.shape, variable.init.a);
  const double scale = variable.init.kind == Init::Kind::uniform ? variable.init.b : std::sqrt(3.0) * variable.init.b;
  return numbers(variable.name, variable.type.shape, scale);
}

/// Binds what has no value yet; roots of groups are packed from their members.
inline void bind_state(const StateSpec& state, Bindings& bindings) {
  for (int i = 0; i < state.size(); ++i) bindings.state.try_emplace(state[i].name, start_of(state[i]));
  for (int root = 0; root < state.size(); ++root) {
    for (const int member : state.members(root)) {
      const RefTensor& from = bindings.state[state[member].name];
      for (std::int64_t k = 0; k < from.size(); ++k)
        bindings.state[state[root].name][state[member].root_offset + k] = from[k];
    }
  }
}

/// The state after a program has run: updates taken, members of updated roots unpacked.
inline void commit(const StateSpec& state, const Interpretation& result, Bindings& bindings) {
  for (const auto& [name, value] : result.new_state) bindings.state[name] = value;
  for (int i = 0; i < state.size(); ++i) {
    if (state[i].root < 0 || !result.new_state.contains(state[state[i].root].name)) continue;
    const RefTensor& root = bindings.state[state[state[i].root].name];
    RefTensor& member = bindings.state[state[i].name];
    for (std::int64_t k = 0; k < member.size(); ++k) member[k] = root[state[i].root_offset + k];
  }
}

/// Trainable names without "model/", in order of declaration.
inline std::vector<std::string> parameter_names(const StateSpec& state) {
  std::vector<std::string> names;
  for (int i = 0; i < state.size(); ++i) {
    if (state[i].trainable) names.push_back(state[i].name.substr(6));
  }
  return names;
}

inline std::int64_t parameter_count(const StateSpec& state) {
  std::int64_t total = 0;
  for (int i = 0; i < state.size(); ++i) total += state[i].trainable ? state[i].type.elements() : 0;
  return total;
}

}  // namespace trainctl::test
