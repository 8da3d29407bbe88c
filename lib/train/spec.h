// The whole experiment as a struct: what a config file is read into.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "data/dataset.h"
#include "data/sample_order.h"
#include "data/subset.h"
#include "device/device.h"
#include "nn/loss.h"
#include "nn/metric.h"
#include "nn/model.h"
#include "nn/optimizer.h"
#include "nn/step.h"
#include "nn/transform.h"
#include "remote/remote.h"
#include "results/spec.h"
#include "schema/named_values.h"
#include "schema/schema.h"
#include "train/average.h"
#include "train/fitted.h"
#include "train/logger.h"
#include "train/policy.h"

namespace trainctl {

/// `data.train`, `data.val`, `data.test`: samples and how they become batches.
struct SplitSpec {
  Component<Dataset> dataset;
  std::optional<Subset> subset;
  std::vector<Component<Transform>> transforms;
  std::int64_t batch_size = 0;
  bool shuffle = false;
  std::optional<Component<SampleOrder>> sampler;
  bool drop_last = false;
  static Schema<SplitSpec> schema();
  void check(Diagnostics& diagnostics, const Node& node) const;
};

struct DataSpec {
  SplitSpec train;
  std::optional<SplitSpec> val;
  std::optional<SplitSpec> test;
  OrderedMap<StandardizeSpec> standardize;  ///< by field
  std::optional<double> memory_limit;       ///< MiB
  std::int64_t threads = 0;
  static Schema<DataSpec> schema();
  /// The split of that name, or null.
  const SplitSpec* find(std::string_view name) const;
  /// Threads that read batches ahead of a device's steps.
  int reading_threads(const Device& device) const { return threads > 0 ? static_cast<int>(threads) : device.threads(); }
};

/// fp32: everything in float32. tf32: products of matrices and convolutions round their operands to TF32. bf16:
/// activations and their gradients are bfloat16, sums, norms, parameters and losses float32.
enum class Precision : std::uint8_t { fp32, tf32, bf16 };
template <>
struct EnumNames<Precision> {
  static constexpr EnumName<Precision> names[] = {
      {Precision::fp32, "fp32"}, {Precision::tf32, "tf32"}, {Precision::bf16, "bf16"}};
};

/// What happens when a loss or a gradient is not finite. stop: training ends as diverged. skip: that update changes
/// nothing. rollback: the state of the newest checkpoint is taken, and training goes on with the batches that follow.
enum class OnNan : std::uint8_t { stop, skip, rollback };
template <>
struct EnumNames<OnNan> {
  static constexpr EnumName<OnNan> names[] = {
      {OnNan::stop, "stop"}, {OnNan::skip, "skip"}, {OnNan::rollback, "rollback"}};
};

/// What `trainer.evaluate` and others call the weights that are trained, beside the names of averages.
inline constexpr const char* model_weights = "model";

/// `trainer`: how long, how often, on what.
struct TrainerSpec {
  Progress max{1.0, Progress::Unit::epochs};
  std::string device = "auto";
  std::int64_t threads = 0;
  Precision precision = Precision::fp32;
  bool fast_math = false;
  bool deterministic = true;
  std::int64_t accumulate = 1;
  std::optional<double> clip_grad_norm;
  std::optional<double> clip_grad_value;
  OnNan on_nan = OnNan::stop;
  Progress validate_every{1.0, Progress::Unit::epochs};
  Progress log_every{50.0, Progress::Unit::steps};
  std::optional<WallTime> time_limit;
  Reference evaluate{model_weights, {}};
  static Schema<TrainerSpec> schema();
};

/// A value by which checkpoints are judged.
struct BestSpec {
  Reference monitor;
  Mode mode = Mode::min;
  static Schema<BestSpec> schema();
};

struct KeepSpec {
  std::int64_t last = 2;
  bool all = false;
  std::optional<BestSpec> best;
  static Schema<KeepSpec> schema();
};

/// `checkpoint`: when, and which ones stay.
struct CheckpointSpec {
  std::vector<std::variant<Progress, WallTime>> every{Progress{1.0, Progress::Unit::epochs}};
  KeepSpec keep;
  static Schema<CheckpointSpec> schema();
};

struct OutputSpec {
  Path root = "runs";
  std::string project = "default";
  static Schema<OutputSpec> schema();
};

/// A config file.
struct ExperimentSpec {
  std::int64_t version = 1;
  std::string name;
  std::vector<Path> modules;
  std::int64_t seed = 0;
  DataSpec data;
  std::optional<Model> model;
  OrderedMap<Model> models;
  Component<Step> step{"supervised"};
  std::optional<Component<Loss>> loss;
  Metrics metrics;
  std::optional<Component<Optimizer>> optimizer;
  Named<Optimizer> optimizers;
  ValueTable values;
  Named<Policy> policies;
  Named<Average> averages;
  TrainerSpec trainer;
  std::optional<CheckpointSpec> checkpoint;
  Named<Logger> loggers;
  std::vector<Path> save_source;
  bool save_diff = true;
  std::optional<ResultsSpec> results;
  std::optional<Component<Remote>> remote;
  OutputSpec output;
  std::optional<Fitted> fitted;  ///< empty: not fitted yet, or nothing to fit
  static Schema<ExperimentSpec> schema();
  void check(Diagnostics& diagnostics, const Node& node) const;
  void link(Diagnostics& diagnostics);

 private:
  void check_averages(Diagnostics& diagnostics) const;
  void check_results(Diagnostics& diagnostics) const;
};

}  // namespace trainctl
