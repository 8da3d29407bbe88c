// What a batch becomes: the entries of a training step.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "nn/loss.h"
#include "nn/metric.h"
#include "nn/model.h"
#include "nn/optimizer.h"
#include "nn/standardize.h"

namespace trainctl {

/// A field that was standardised, and what it was before.
struct Standardized {
  Value original;  ///< null where the data have no such field, as those of a prediction have no target
  const Moments* moments = nullptr;
};

/// A batch as values: the data's fields after transforms ("input", "target").
struct Batch {
  std::map<std::string, Value, std::less<>> fields;
  std::int64_t samples = 0;
  std::map<std::string, std::int64_t, std::less<>> classes{};  ///< of the fields that are class numbers
  std::map<std::string, Standardized, std::less<>> standardized{};
  /// The field; a config Error lists those there are.
  Value field(std::string_view name) const;
  /// The field in its own unit: as it was before it was standardised.
  Value original(std::string_view name) const;
  /// A model's output for a field, in the field's own unit.
  Value in_own_unit(Builder& builder, std::string_view name, Value output) const;
};

/// Which part of an update a program does. One update of `accumulate` micro-batches is begin, accumulate..., finish; a
/// single one is `whole`. `refresh` is an evaluation that computes running statistics anew; steps see `evaluate`.
/// `predict` is what Step::predict() builds.
enum class Phase : std::uint8_t { whole, begin, accumulate, finish, evaluate, refresh, predict };

/// What a graph of a step is for.
struct StepProgram {
  Phase phase = Phase::whole;
  std::string_view split;
  int entry = 0;  ///< one of Step::entries()
  bool trains() const { return phase != Phase::evaluate && phase != Phase::predict; }
};

/// The parts of an experiment that steps are assembled from, and what they have in common: gradients, clipping,
/// updates, metric sums.
struct Assembly {
  struct NamedModel {
    std::string name;  ///< empty for the only one
    const Model* model = nullptr;
  };
  struct NamedOptimizer {
    std::string name;  ///< empty for the only one
    const Optimizer* optimizer = nullptr;
    Source source{};
  };
  std::vector<NamedModel> models;
  std::vector<NamedOptimizer> optimizers;
  const Component<Loss>* loss = nullptr;  ///< null where the spec has none
  const Metrics* metrics = nullptr;
  std::optional<double> clip_grad_norm;
  std::optional<double> clip_grad_value;
  DType activations = DType::f32;  ///< element type of what lies between the model's input and its output
  bool skip_nonfinite = false;     ///< updates whose loss or gradients are not finite change nothing
  int stage = 0;                   ///< of the graph that is being built: see stage_begins()

  /// A sum of metrics: its state variable, by split.
  struct Reported {
    std::string name;                ///< "loss", "accuracy"
    std::vector<int> sums;           ///< f64 in the StateSpec
    const Metric* metric = nullptr;  ///< null: the first sum over the second, or over the samples if it is the only one
    int entry = 0;                   ///< the program of an update that computes it
    bool skipped = false;            ///< the sums are updates that were skipped, and their samples
    std::size_t numbers = 0;         ///< elements of all sums
  };

  /// How many updates a duration is.
  using StepsOf = std::function<std::int64_t(const Progress&)>;
  /// Freezes what the models freeze and groups the other trainable parameters as the optimizers say, once, before the
  /// first training graph: call it when all models have been built. A group is laid out as "parameters/<group>". Throws
  /// a config Error for a pattern that matches nothing, naming the nearest parameters. `steps` turns the times of
  /// `freeze_until` into updates. Parameters that it frees later have groups of their own, "<group>.stage<n>", so that
  /// an optimizer is one launch for each group and stage; their slots begin when they do.
  void declare_groups(StateSpec& state, const StepsOf& steps = {});
  /// With which updates more parameters begin to be trained: stage n + 1 begins with the n-th, stage 0 with the first.
  const std::vector<std::int64_t>& stage_begins() const { return stage_begins_; }
  /// A model's outputs for f32 or integer inputs, f32 again whatever `activations` are. `name` is empty for the only
  /// model; a config Error lists the models if there is none of that name. Parameters are "model/<path>", or
  /// "models/<name>/<path>" where there are several. A model of which nothing is trained at this stage because `freeze`
  /// says "*" is built as in evaluation.
  Values apply_model(Builder& builder, std::string_view name, const Values& inputs) const;
  const Model& model(std::string_view name) const;
  /// "model/" or "models/<name>/".
  static std::string prefix_of(std::string_view model_name);
  /// A parameter as patterns see it: "0.weight" of "model/0.weight".
  static std::string parameter_name(const StateVariable& variable);
  /// The loss; a config Error that names the step where the spec has none.
  const Component<Loss>& required_loss(std::string_view step) const;
  /// Reports the experiment's metrics of an output and a target.
  void report_metrics(Builder& builder, std::string_view split, Value output, Value target);
  /// The output "output" for evaluation and predictions: after the model's `output` layer, if it has one.
  void give_output(Builder& builder, std::string_view model_name, Value output) const;
  /// By one optimizer (empty: the only one): gradients of `objective`, clipped (by value, then by norm over all
  /// groups), accumulated as `phase` says, and the update of every group. Except in `whole`, the objective is weighted
  /// by the scalar "batch_weight": this batch's samples over the update's; or, if `weight` is given, by that, this
  /// batch's weight, over the sum of the update's. The gradients lie in the state "gradients/<group>", the sums of an
  /// update's batches in "accumulated/<group>"; neither is saved. A config Error names parameters that the objective
  /// does not depend on. Call it last.
  void optimize(Builder& builder, Value objective, Phase phase, std::string_view optimizer = {}, Value weight = {});
  /// The last part of a training program. "health/finite_updates/<entry>" counts the updates after which the epoch's
  /// losses are finite. With skip_nonfinite the updates of all saved state that optimize() does not make hang on the
  /// flag that its own hang on, and "skipped_updates" is reported.
  void guard(Builder& builder, const StepProgram& program, std::int64_t samples);
  /// Index of "health/finite_updates/<entry>" (f64) by entry; empty before guard().
  const std::vector<int>& finite_updates() const { return finite_updates_; }
  /// Adds factor * value to the sum "metrics/<split>/<name>/<k>", unless the experiment has that name off or the metric
  /// is not for that split.
  void report(Builder& builder, std::string_view split, std::string_view name, const std::vector<Metric::Term>& terms,
              const Metric* metric = nullptr);
  /// What graphs of that split report, in order of first appearance.
  const std::vector<Reported>& reported(std::string_view split) const;
  /// The value to show for a reported sum.
  static double finish(const Reported& reported, std::span<const double> sums, double samples);

 private:
  struct Group {
    std::string name;
    int parameters;
    const ParameterGroup* overrides;
    std::size_t optimizer;  ///< index
    int stage;              ///< with which it begins to be trained
  };
  void freeze(StateSpec& state, const StepsOf& steps);
  void freeze(StateSpec& state, const NamedModel& model, const StepsOf& steps,
              std::map<int, std::int64_t>& begins) const;
  /// Whether nothing of the model is trained at the stage that is being built.
  bool frozen_now(const Model& model, std::string_view name, const StateSpec& state) const;
  void declare_groups(StateSpec& state, std::size_t optimizer);
  /// Names of the models that an optimizer updates.
  std::vector<std::string> models_of(std::size_t optimizer) const;
  Values gradients(Builder& builder, Value objective, Phase phase, const std::vector<Group>& groups) const;
  Value accumulate(Builder& builder, const Group& group, Value packed, Phase phase) const;
  /// The sum of the update's weights, in `finish`; null before.
  Value total_weight(Builder& builder, std::string_view optimizer, Value weight, Phase phase) const;

  void skip(Builder& builder, const StepProgram& program, std::int64_t samples, Value finite);

  std::vector<Group> groups_;
  std::vector<std::int64_t> stage_begins_;
  std::map<int, int> stages_;  ///< of parameters that are not trained from the start
  Value finite_;               ///< of the program that is being built: i32 scalar, or null
  std::vector<int> finite_updates_;
  std::map<std::string, std::vector<Reported>, std::less<>> reported_;
};

/// A loss of a step.
struct LabelledLoss {
  const Component<Loss>* loss = nullptr;
  std::string field;  ///< of the data
  std::string path;   ///< in the spec: "loss"
};

/// How a batch becomes losses, metrics and updates. One file each in lib/nn/steps; the default is `supervised`.
struct Step {
  static constexpr const char* kind = "step";
  virtual ~Step() = default;
  /// How many programs an update runs one after the other on the same batches, each with an optimizer of its own: two
  /// for networks that take turns.
  virtual int entries() const { return 1; }
  /// The losses in use, and the field that each is held against; `loss` is the experiment's, null where it has none.
  virtual std::vector<LabelledLoss> losses(const Component<Loss>* /*loss*/) const { return {}; }
  /// Appends the program of one phase for one batch. Evaluation (of entry 0 alone) gives the output "output" too.
  virtual void build(Builder& builder, Assembly& assembly, const StepProgram& program, const Batch& batch) const = 0;
  /// Appends what the models answer to one batch, of its inputs alone: the batch has no targets, and there are no
  /// losses or metrics. Gives the same output "output" as evaluation does, or "output/<field>" for each of several
  /// fields. By default a config Error: the step answers nothing.
  virtual void predict(Builder& builder, Assembly& assembly, const StepProgram& program, const Batch& batch) const;
};

}  // namespace trainctl
