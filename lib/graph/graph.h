// The step as data: ops applied to values, in static single assignment.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "device/attributes.h"
#include "device/types.h"
#include "graph/state.h"

namespace trainctl {

class Op;
class Graph;

/// A handle on a value of a graph; the null handle stands for an operand left out or a gradient that is zero.
class Value {
 public:
  Value() = default;
  Value(Graph* graph, int id) : graph_(graph), id_(id) {}

  explicit operator bool() const { return graph_ != nullptr; }
  Graph* graph() const { return graph_; }
  int id() const { return graph_ ? id_ : -1; }
  /// A copy: a reference would not survive the next node.
  TensorType type() const;
  Shape shape() const { return type().shape; }
  std::int64_t dim(int axis) const { return shape().dim(axis); }
  friend bool operator==(const Value&, const Value&) = default;

 private:
  Graph* graph_ = nullptr;
  int id_ = -1;
};
using Values = std::vector<Value>;

struct ValueInfo {
  enum class Kind : std::uint8_t {
    input,     ///< filled by the caller before the program runs: a staged batch
    scalar,    ///< a number that may change from step to step, read from the step's row of scalars
    state,     ///< a state variable as it is when the program begins
    constant,  ///< the same in every step
    result,    ///< an output of a node
  };
  TensorType type;
  Kind kind = Kind::result;
  std::string name{};              ///< of an input or scalar; a result's is made from its node
  int state = -1;                  ///< kind state: index in the StateSpec
  std::vector<double> constant{};  ///< kind constant: one number for all elements, or one each
  int node = -1;                   ///< kind result: the node
  int output = 0;                  ///< kind result: which output of it
};

struct GraphNode {
  const Op* op = nullptr;
  AttributesPtr attributes;
  std::vector<int> inputs{};  ///< value ids; -1 for an operand left out
  std::vector<int> outputs{};
  std::string path;  ///< of the layer that made it: "model.layers.0"; part of what users see in tables
  int forward = -1;  ///< for a node that a vjp made: the node whose gradient it computes
};

/// Ops applied to values. Nodes only ever refer to earlier values, so creation order is a valid order to run in. State
/// changes by `updates`: a state variable takes a value when the program has run; a reader of the old version always
/// sees the old one.
class Graph {
 public:
  struct Update {
    int state;
    int value;
  };
  struct Output {
    std::string name;
    int value;
  };

  explicit Graph(StateSpec& state) : state_(&state) {}

  Value input(std::string name, TensorType type);
  /// The scalar of that name (f32 or i64, rank 0), one value however often it is asked for.
  Value scalar(std::string_view name, DType dtype = DType::f32);
  Value constant(TensorType type, std::vector<double> values);
  Value constant(double value, DType dtype = DType::f32) { return constant({dtype, {}}, {value}); }
  /// State as it is at the start of the program.
  Value state(int index);
  /// Adds a node; infers the types of its outputs. Throws a config Error if the op refuses its inputs.
  Values apply(const Op& op, AttributesPtr attributes, const Values& inputs, std::string path, int forward = -1);
  /// The state variable takes `value`, which has its type, at the end of the program. The last update counts: one that
  /// builds on an earlier one (running statistics of a model that is applied twice) reads it by latest().
  void update(int state, Value value);
  /// The value the variable will have at the end, as far as updates are known: its update's value or its start.
  Value latest(int state);
  /// Makes a value readable after the program has run.
  void output(std::string name, Value value);

  const std::vector<ValueInfo>& values() const { return values_; }
  const std::vector<GraphNode>& nodes() const { return nodes_; }
  std::vector<GraphNode>& nodes() { return nodes_; }
  const std::vector<Update>& updates() const { return updates_; }
  const std::vector<Output>& outputs() const { return outputs_; }
  StateSpec& state_spec() const { return *state_; }
  const ValueInfo& info(int value) const { return values_[value]; }
  std::string value_name(int value) const;

  /// Number of reads of each value by nodes, updates and outputs.
  std::vector<int> reader_counts() const;
  /// Replaces the uses of one value by another of the same type, in nodes from `first_node` on, in updates and in
  /// outputs.
  void replace_uses(int old_value, int new_value, int first_node = 0);
  /// Drops all updates but those of these state variables, and all outputs.
  void keep_updates(const std::set<int>& states);
  /// Drops nodes that no update and no output needs. Value ids stay.
  void remove_dead_nodes();
  /// Replaces the nodes `swallowed` by one that computes the values in `fused.outputs`, which they computed. Nodes are
  /// reordered where a reader of those values stood too early. False, and nothing done, where no order exists: an
  /// operand of `fused` depends on its outputs.
  bool fuse(const std::vector<int>& swallowed, GraphNode fused);
  /// A line per node; equal graphs give equal text.
  std::string text() const;
  /// 64-bit hash of text(), in hexadecimal: what a checkpoint records to know its graph again.
  std::string hash() const;

 private:
  Value add_value(ValueInfo info);

  StateSpec* state_;
  std::vector<ValueInfo> values_;
  std::vector<GraphNode> nodes_;
  std::vector<Update> updates_;
  std::vector<Output> outputs_;
};

inline TensorType Value::type() const {
  return graph_->info(id_).type;
}

}  // namespace trainctl
