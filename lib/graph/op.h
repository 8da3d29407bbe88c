// The contract of an op: what it computes, apart from any device.
#pragma once

#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "device/attributes.h"
#include "device/types.h"
#include "graph/graph.h"

namespace trainctl {

class Builder;

/// A dense row-major tensor in float64: what references compute with. Integers and bytes are held as their values.
struct RefTensor {
  Shape shape;
  std::vector<double> data;

  RefTensor() = default;
  explicit RefTensor(Shape shape_, double fill = 0.0) : shape(shape_), data(shape.elements(), fill) {}
  double& operator[](std::int64_t i) { return data[i]; }
  double operator[](std::int64_t i) const { return data[i]; }
  std::int64_t size() const { return static_cast<std::int64_t>(data.size()); }
};

/// Work of one application of an op: floating-point operations, and bytes that must be moved at least once.
struct Cost {
  double flops = 0.0;
  double bytes = 0.0;
};

/// What an op's vjp is given. `inputs`, `outputs` and `cotangents` belong to the node; a null cotangent is zero.
struct VjpArguments {
  const Attributes& attributes;
  std::span<const Value> inputs;
  std::span<const Value> outputs;
  std::span<const Value> cotangents;  ///< gradient of the objective with respect to each output
  std::span<const bool> wanted;       ///< which inputs need a gradient
};

/// A pure function of tensors. Stateless, one instance a kind of op, registered under its name; lib/ops has one file
/// for each.
class Op {
 public:
  /// How the planner treats the output's memory.
  enum class Storage : std::uint8_t {
    compute,  ///< a kernel writes it
    view,     ///< the output is input 0's memory under another row-major shape; nothing runs
    pack,     ///< the output is one buffer in which the inputs were placed when they were computed; nothing runs
  };

  virtual ~Op() = default;
  virtual std::string_view name() const = 0;
  virtual Storage storage() const { return Storage::compute; }

  /// Types of the outputs. Throws a config Error that says which shapes do not fit and why. An operand left out is
  /// null.
  virtual std::vector<TensorType> infer(const Attributes& attributes, InputTypes inputs) const = 0;
  /// Gradient with respect to each input (null where zero or not wanted), as nodes appended to the graph. By default
  /// the op has no gradient: nothing flows through it.
  virtual Values vjp(Builder& builder, const VjpArguments& arguments) const;
  /// The op in float64. `outputs` have their shapes and are zero. An operand left out is null.
  virtual void reference(const Attributes& attributes, std::span<const RefTensor* const> inputs,
                         std::span<RefTensor> outputs) const = 0;
  /// By default no flops, and all inputs and outputs moved once.
  virtual Cost cost(const Attributes& attributes, InputTypes inputs, std::span<const TensorType> outputs) const;
};

/// Types of a node's operands and results, in the form that an op's functions take.
struct NodeTypes {
  std::vector<const TensorType*> inputs;  ///< null for an operand left out; valid until the graph grows
  std::vector<TensorType> outputs;
  NodeTypes(const Graph& graph, const GraphNode& node);
};

/// All ops by name.
class OpRegistry {
 public:
  static OpRegistry& instance();
  /// An internal Error if the name is taken.
  void add(std::unique_ptr<Op> op);
  /// Null if there is none of that name.
  const Op* find(std::string_view name) const;
  /// An internal Error if there is none of that name.
  const Op& get(std::string_view name) const;
  const std::vector<std::unique_ptr<Op>>& ops() const { return ops_; }

 private:
  std::vector<std::unique_ptr<Op>> ops_;
};

/// Registers an op at load time: const RegisterOp<Relu> registered;
template <typename T>
struct RegisterOp {
  RegisterOp() { OpRegistry::instance().add(std::make_unique<T>()); }
};

}  // namespace trainctl
