// From a spec and what is known of its data to the graphs of its programs. No memory, no device.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/sampler.h"
#include "graph/builder.h"
#include "graph/graph.h"
#include "nn/step.h"
#include "train/placement.h"
#include "train/policy.h"
#include "train/spec.h"

namespace trainctl {

/// Which program: what it does, on which split, with how many samples.
struct ProgramKey {
  Phase phase = Phase::whole;
  std::string split = "train";
  std::int64_t samples = 0;
  int entry = 0;             ///< which of the step's programs of an update
  std::string weights = {};  ///< the average whose weights are used instead of the model's; empty: none
  int stage = 0;             ///< which parameters it trains, by Blueprint::stage_at
  friend auto operator<=>(const ProgramKey&, const ProgramKey&) = default;
  /// "train whole 128", "val 1000": for tables and messages.
  std::string text() const;
};

/// What the programs of a blueprint without training give.
struct Answers {
  bool predictions = false;  ///< what models answer to inputs alone, by Step::predict(); else evaluation
  std::string target = {};   ///< a field that evaluation gives as the output "target", as metrics see it; empty: none
};

/// A number of the spec that a policy drives.
struct DrivenValue {
  std::string path;                           ///< "optimizer.lr"
  std::string shown_as;                       ///< "lr": the name in the history
  double base = 0.0;                          ///< the spec's own value
  const Policy* policy = nullptr;             ///< null: the value stays (the learning rate is always shown)
  std::vector<const Policy*> followers = {};  ///< policies that change what `policy` gives, in the spec's order
  double at(std::int64_t step, const Schedule& schedule) const {
    double value = policy ? policy->value(step, base, schedule) : base;
    for (const Policy* follower : followers) value = follower->value(step, value, schedule);
    return value;
  }
};

/// The field that predictions are held against: the one that is named, else that of the step's first loss. A config
/// Error if there is none.
std::string target_of(const ExperimentSpec& spec, const std::optional<std::string>& named);

/// What an experiment's graphs are built from. All state is declared when it is made, so that checkpoints of equal
/// specs hold equal names.
class Blueprint {
 public:
  /// `spec` outlives the blueprint. `data` describes the splits in use; without `train` there is nothing but
  /// evaluation. `placements` are those of the splits; by default as the host's memory allows. Throws a config Error
  /// where layers, loss, metrics, policies or data do not fit each other.
  Blueprint(ExperimentSpec& spec, DataInfos data, Answers answers = {}, Placements placements = {});

  /// The graph of a program, fresh.
  std::unique_ptr<Graph> build(const ProgramKey& key);
  /// The program of a validation batch, with the weights that `trainer.evaluate` names.
  ProgramKey evaluation(const std::string& split, std::int64_t samples) const;
  /// Programs that a run of this spec may need: the phases of training with full and ragged batches, evaluation of
  /// every split.
  std::vector<ProgramKey> programs() const;

  StateSpec& state() { return state_; }
  const StateSpec& state() const { return state_; }
  const Assembly& assembly() const { return assembly_; }
  const ExperimentSpec& spec() const { return spec_; }
  const DatasetInfo& data(std::string_view split) const { return data_.find(split)->second; }
  const Sampler& sampler(std::string_view split) const { return *samplers_.find(split)->second; }
  std::vector<std::string> splits() const;
  /// Where the split's samples lie. If it is brought batch by batch, its state has room for the places' batches, in
  /// order, and the scalar `streamed_position` says at which row the batch of a step begins.
  const Placement& placement(std::string_view split) const { return placements_.find(split)->second; }
  static constexpr const char* streamed_position = "streamed_position";
  const Schedule& schedule() const { return schedule_; }
  const AverageStates& averages() const { return averages_; }
  /// Driven values, the learning rate first.
  const std::vector<DrivenValue>& driven() const { return driven_; }
  /// Programs that an update runs, one after the other.
  int entries() const { return spec_.step->entries(); }
  /// Which parameters the update `step` trains, as a number that grows when `freeze_until` frees some.
  int stage_at(std::int64_t step) const;
  /// The models' layers as one training batch builds them.
  const std::vector<BuiltLayer>& layers() const { return layers_; }
  /// The graph that layers() refers to.
  const Graph& model_graph() const { return *model_graph_; }
  /// What one sample's prediction and target are, for result packages. A config Error where the step gives no output or
  /// the data has no such target.
  PredictionInfo predictions(std::string_view split, const std::string& target);
  /// The output of evaluation that is held against a field: "output", or "output/<field>" of a step of several.
  std::string output_for(const std::string& target) const;
  /// The fields of a split that the models' graph depends on.
  std::vector<Field> fields_in_use(std::string_view split) const;
  /// Hash of the training graph of a full batch: what a checkpoint must agree on.
  const std::string& graph_hash() const { return graph_hash_; }
  /// Names of what policies add to reports, in the policies' order.
  const std::vector<std::string>& added_names() const { return added_; }
  /// Names of all values that reports will hold ("train/loss", "val/accuracy", "lr").
  std::vector<std::string> reported_names() const;

 private:
  bool trains() const { return data_.contains("train") && !answers_.predictions; }
  std::vector<ProgramKey> training_programs() const;
  void add_refresh_programs(std::vector<ProgramKey>& keys) const;
  void declare_averages(const std::vector<int>& statistics, Diagnostics& problems);
  /// Rows of the split's state.
  std::int64_t rows(std::string_view split) const;
  Batch batch(Builder& builder, std::string_view split, std::int64_t samples);
  std::string hash_without_guard(const ProgramKey& key, const Graph& graph);
  void declare_groups();
  void make_samplers();
  void make_schedule();
  void find_driven(Diagnostics& problems);
  void settle(const std::string& name, const Component<Policy>& policy, double base, Diagnostics& problems);
  void build_all();
  void check_metrics(const std::vector<Assembly::Reported>& reported, Diagnostics& problems) const;
  /// The hash of a training graph; the same whether its data are streamed or not, as the numbers are.
  std::string hash_of(const Graph& graph) const;
  void check_monitors(Diagnostics& problems) const;
  void check_results(Diagnostics& problems);
  /// What the step appends for a program without training.
  void answer(Builder& builder, const ProgramKey& key, const Batch& batch);

  ExperimentSpec& spec_;
  Answers answers_;
  DataInfos data_;
  Placements placements_;
  std::map<std::string, std::unique_ptr<Sampler>, std::less<>> samplers_;
  StateSpec state_;
  BuildContext context_;
  Assembly assembly_;
  Schedule schedule_;
  AverageStates averages_;
  std::vector<DrivenValue> driven_;
  std::vector<std::string> added_;  ///< names of what policies add to reports
  std::vector<BuiltLayer> layers_;
  std::unique_ptr<Graph> model_graph_;
  std::string graph_hash_;
};

}  // namespace trainctl
