// Building a graph: scopes for names, parameters, live scalars, gradients.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "graph/graph.h"
#include "graph/op.h"

namespace trainctl {

/// What is common to all graphs of an experiment.
struct BuildContext {
  std::uint64_t seed = 0;
  /// Spec paths that a policy drives ("optimizer.lr"). Others are constants and cost nothing.
  std::set<std::string, std::less<>> live;
};

/// One layer as it was built, for the layer table.
struct BuiltLayer {
  std::string path;  ///< "layer1.0.conv"; "teacher/layer1.0.conv" where there are several models
  std::string type;  ///< "conv2d"
  int depth = 0;     ///< 0 for the model's own layers
  int first_node = 0;
  int end_node = 0;
  Values outputs;
  std::vector<int> parameters;  ///< state indices, trainable ones, its inner layers' included
};

/// Appends to a graph on behalf of layers, losses and optimizers. Paths nest: a layer names its parameters, the scopes
/// around it make the full name ("model/" + "layer1.0.conv" + ".weight").
class Builder {
 public:
  Builder(Graph& graph, const BuildContext& context, bool training)
      : graph_(&graph), context_(&context), training_(training) {}

  Graph& graph() const { return *graph_; }
  const BuildContext& context() const { return *context_; }
  /// Whether layers behave as in training (dropout, batch statistics).
  bool training() const { return training_; }

  Values apply(std::string_view op, AttributesPtr attributes, const Values& inputs);
  /// For ops of one output.
  Value apply1(std::string_view op, AttributesPtr attributes, const Values& inputs) {
    return apply(op, std::move(attributes), inputs)[0];
  }

  /// A trainable f32 tensor "model/<scope>.<name>".
  Value parameter(std::string_view name, Shape shape, Init init);
  /// State that training changes but no optimizer owns, such as running statistics. Read it with graph().latest(index).
  int buffer(std::string_view name, TensorType type, Init init);
  /// A number that a policy may drive, as an f32 scalar: the step's row where `live_path` has a policy, else the
  /// constant `value`.
  Value number(double value, std::string_view live_path);
  /// Number of training batches done so far (i64 scalar): the index of all randomness in the step.
  Value step() { return graph_->scalar("step", DType::i64); }
  /// Philox stream of the current scope: hash(seed, path).
  std::uint64_t random_stream(std::string_view purpose = "") const;

  /// From here on state variables stand in for others, by index: layers are built with other weights than their own.
  void stand_in(std::map<int, int> stand_ins) { stand_ins_ = std::move(stand_ins); }
  /// From here on layers compute these running statistics anew from the batches of a pass, by the batch's own, as in
  /// training: each batch counts by the scalar "refresh_rate", which is 1 / k for the k-th.
  void refresh(std::set<int> statistics) { refreshed_ = std::move(statistics); }
  bool refreshes(int statistic) const { return refreshed_.contains(statistic); }

  /// The path of the current scope, e.g. "layer1.0.conv".
  const std::string& path() const { return path_; }

  /// Extends the path until it goes out of scope.
  class Scope {
   public:
    Scope(Builder& builder, std::string_view name);
    ~Scope();
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    Builder& builder_;
    std::size_t path_length_;
  };
  /// Layers built so far, outer before inner.
  std::vector<BuiltLayer>& layers() { return layers_; }

  /// Makes another prefix of parameter names ("models/teacher/" instead of "model/") and another training() hold for as
  /// long as it lives. A model that was built before adds nothing to layers().
  class ModelScope {
   public:
    ModelScope(Builder& builder, std::string prefix, bool training);
    ~ModelScope();
    ModelScope(const ModelScope&) = delete;
    ModelScope& operator=(const ModelScope&) = delete;

   private:
    Builder& builder_;
    std::string prefix_;
    bool training_;
    std::size_t layers_;
  };

  /// Gradients of a scalar objective with respect to `wrt` (null where it does not depend on one). Can be asked several
  /// times.
  Values gradients(Value objective, std::span<const Value> wrt);

 private:
  friend class Scope;
  friend class ModelScope;
  int declared(std::string_view name, TensorType type, Init init, bool trainable);

  Graph* graph_;
  const BuildContext* context_;
  bool training_;
  std::string prefix_ = "model/";
  std::string path_;
  std::vector<BuiltLayer> layers_;
  std::set<std::string, std::less<>> built_;  // prefixes of models whose layers are listed
  std::map<int, int> stand_ins_;
  std::set<int> refreshed_;
  int forward_ = -1;
};

}  // namespace trainctl
