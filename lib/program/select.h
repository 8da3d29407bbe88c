// Choosing kernels and layouts: the first half of planning.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <tuple>
#include <utility>
#include <vector>

#include "graph/graph.h"
#include "program/plan.h"

namespace trainctl {

/// Turns the nodes of a graph into steps on tensors. What a kernel wants in another layout is reordered once; a state
/// variable that the program does not change becomes a working copy, which outlives the program's runs. Views, packs
/// and updates are placed: memory is shared wherever no reader of an older version is hurt, and copied where one would
/// be.
class Selection {
 public:
  Selection(const Graph& graph, Plan& plan);
  void run();

 private:
  void select_node(int node);
  void select_view(int node);
  void select_pack(int node);
  void place_updates();
  /// Where an optimizer's kernel can write what it updates as bf16 too, it does, into a working copy of the whole group
  /// that outlives the run: who reads parameters so needs no casts of its own.
  void keep_copies();
  /// The bf16 copies of row-major parts of the state at `root` that steps before `writer` are made and read, if they
  /// are half of it or more; else none.
  std::vector<int> casts_of(int root, int writer) const;
  void drop(const std::set<int>& steps);
  void collect_outputs();

  /// The tensor of a value as it lies, made for inputs, scalars, constants and state when first asked for.
  int tensor_of(int value);
  /// The value in a given layout, and element type where one is given: as it lies, or by a reorder or working copy.
  int tensor_in(int value, const Layout& layout, std::optional<DType> dtype = {});
  /// Has the step that computed a value that nobody has read leave it in that layout, if its kernel can.
  bool place_in(int value, const Layout& layout);
  int add_tensor(const TensorType& type, const Layout& layout, int storage, std::size_t offset = 0);
  int add_storage(Storage storage);
  int root_of(int state) const;
  /// The memory of a state variable: its root's, and the offset in it.
  std::pair<int, std::size_t> state_memory(int state);
  /// A step that copies `from` to `to`, reordering where their layouts differ.
  int add_copy(int from, int to, const std::string& path);
  /// Makes a transient storage part of another one.
  void merge(int storage, int into, std::size_t offset);
  bool may_place(int storage) const;
  /// Whether the writers of `storage` come after every reader of the old version of the state at `state_storage`.
  bool readers_come_first(int storage, int state_storage) const;

  const Graph& graph_;
  Plan& plan_;
  std::set<int> updated_roots_;
  std::vector<bool> differentiated_;  // node: some later node belongs to its gradient
  std::vector<int> step_of_node_;
  std::vector<int> primary_;                         // value -> tensor
  using Form = std::tuple<int, std::string, DType>;  // (value or state, layout tag, element type)
  std::map<Form, int> reordered_;                    // form of a value -> tensor
  std::map<int, int> state_storage_;                 // root -> storage
  std::map<Form, int> working_copies_;               // form of a state variable -> tensor
  std::vector<bool> pinned_;                         // storage: placed already (pack, state)
};

/// Types and attributes of a node as a request; layouts all row-major. For asking whether a kernel exists.
bool has_kernel(const GraphNode& node, const Graph& graph, const PlanOptions& options);

}  // namespace trainctl
