// From a graph to a program on paper: which kernel runs each node, in which layouts, and where every tensor lies.
// Nothing here touches a device's memory.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "device/kernel.h"
#include "graph/graph.h"
#include "graph/op.h"
#include "program/choices.h"

namespace trainctl {

struct PlanOptions {
  std::string device = "cpu";
  int threads = 1;
  bool deterministic = true;
  /// Whether kernels name what is worth trying, for tune().
  bool tune = false;
  bool fast_math = false;
  bool tf32 = false;
  /// The device runs launches at the same time where it may: memory of small tensors is then not used twice, since a
  /// launch would have to wait for the readers of what lay there before.
  bool concurrent = false;
  bool fuse = true;
  /// What is to be taken again where it still can be; read while planning only. May be null.
  const Choices* choices = nullptr;
};

/// A block of memory, which may hold several tensors: views of each other, members of a group, an operand and the
/// result computed in its place.
struct Storage {
  enum class Kind : std::uint8_t {
    transient,     ///< in the arena, at `offset`
    state,         ///< a state variable that is its own root
    working_copy,  ///< a state variable in the layout a kernel wants, refreshed when the variable changes
    input,
    scalar,
    constant,
    merged,  ///< has become part of another block
  };
  Kind kind = Kind::transient;
  std::size_t bytes = 0;
  int state = -1;          ///< state, working_copy: the variable
  Layout layout{};         ///< working_copy
  DType dtype{};           ///< working_copy
  int value = -1;          ///< input, scalar, constant: the graph's value
  int first_step = -1;     ///< the first step that writes or reads it
  int last_step = -1;      ///< the last
  std::size_t offset = 0;  ///< transient: place in the arena
  std::string name{};      ///< what the memory plan shows
};

/// A tensor as it lies in memory.
struct PlacedTensor {
  TensorType type;
  Layout layout;
  int storage = -1;
  std::size_t offset = 0;  ///< bytes into the storage
};

/// One launch.
struct PlannedStep {
  const Op* op = nullptr;
  AttributesPtr attributes;
  std::string path;  ///< of the layer it belongs to
  int node = -1;     ///< in the graph as it was rewritten; -1 for a reorder or copy
  const KernelRegistry::Entry* kernel = nullptr;
  KernelPlan plan;
  std::vector<int> inputs;  ///< tensors; -1 for an operand left out
  std::vector<int> outputs;
  std::vector<Layout> given_layouts;  ///< of the inputs, as the kernel was asked
  std::vector<DType> given_dtypes{};  ///< of the inputs, as the kernel was asked; empty: as they lie
  int workspace = -1;                 ///< storage
  int residual = -1;                  ///< storage: written by a forward step, read by its backward steps
  int forward_step = -1;              ///< for a backward step: the forward step of its pair
  bool training = false;
  Cost cost;
  /// Earlier steps that it must wait for, and no more than are needed: what they write it reads or overwrites, or what
  /// they read it overwrites.
  std::vector<int> after{};
};

/// A program on paper.
struct Plan {
  PlanOptions options;
  std::vector<Storage> storages;
  std::vector<PlacedTensor> tensors;
  std::vector<PlannedStep> steps;
  struct Output {
    std::string name;
    int tensor;
  };
  std::vector<Output> outputs;
  std::vector<int> updated_states;  ///< roots whose memory the program changes
  std::vector<int> kept_copies;     ///< storages: working copies of such state that the program keeps up to date itself
  std::vector<ValueInfo> values;    ///< of the graph, for inputs, scalars and constants
  std::size_t arena_bytes = 0;
  std::string graph_hash;
  std::vector<LostChoice> lost_choices;

  Cost total_cost() const;
  /// Whether there is something to try (tune).
  bool names_alternatives() const;
  /// Steps that fall back to the float64 reference.
  std::vector<const PlannedStep*> reference_steps() const;
  /// The step at which most of the arena is live, and what lies there then, largest first.
  struct Peak {
    int step = -1;
    std::size_t bytes = 0;
    std::vector<const Storage*> live;
  };
  Peak peak() const;
};

/// Fuses, chooses kernels and layouts, and places everything. The graph is changed by the rewrites. An environment
/// Error if a node has no kernel on the device.
Plan plan_program(Graph& graph, const PlanOptions& options);

/// The request that a planned step's kernel was given, with the memory its spans refer to.
class StepRequest {
 public:
  StepRequest(const Plan& plan, const PlannedStep& step);
  StepRequest(const StepRequest&) = delete;
  StepRequest& operator=(const StepRequest&) = delete;
  const KernelRequest& get() const { return request_; }

 private:
  std::vector<TensorType> types_;
  std::vector<const TensorType*> inputs_;
  std::vector<TensorType> outputs_;
  KernelRequest request_;
};

}  // namespace trainctl
