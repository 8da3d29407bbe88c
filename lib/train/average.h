// Averages of the weights over training: which there are, their state, and what graphs do with them.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "graph/builder.h"
#include "schema/schema.h"
#include "train/policy.h"

namespace trainctl {

/// Where an average has running statistics from. model: it uses the model's own. average: averaged as the weights are.
/// refresh: computed anew with the averaged weights before they are used.
enum class AverageBuffers : std::uint8_t { model, average, refresh };
template <>
struct EnumNames<AverageBuffers> {
  static constexpr EnumName<AverageBuffers> names[] = {
      {AverageBuffers::model, "model"}, {AverageBuffers::average, "average"}, {AverageBuffers::refresh, "refresh"}};
};

/// An average of the weights. One file each in lib/train/averages. It takes up the weights after the updates `start`,
/// `start + every`, `start + 2 every`, ...; the first time it becomes equal to them, and until then it is the model
/// itself. What it does follows from the step alone, so there is no state but the weights.
struct Average {
  static constexpr const char* kind = "average";

  Progress start{0.0, Progress::Unit::steps};
  Progress every{1.0, Progress::Unit::steps};
  AverageBuffers buffers = AverageBuffers::model;
  std::optional<std::int64_t> refresh_batches;

  virtual ~Average() = default;
  /// How many times the average has taken up the weights when `steps` updates are done.
  std::int64_t taken(std::int64_t steps, const Schedule& schedule) const;
  /// The weights' share in the average after the update that makes `steps` of them: 0 leaves it, 1 makes it equal.
  double rate(std::int64_t steps, const Schedule& schedule) const;
  void check(Diagnostics& diagnostics, const Node& node) const;

  template <typename T>
  static void common(Schema<T>& schema);

 protected:
  /// The weights' share when they are taken up for the n-th time, n from 1 (where the first is 0).
  virtual double share(std::int64_t n) const = 0;
};

template <typename T>
void Average::common(Schema<T>& schema) {
  schema.field("every", &Average::every, resume(Resume::forced), "How often it takes up the weights, from `start` on.")
      .field("buffers", &Average::buffers,
             "Its running statistics (batch_norm). model: the model's own. average: "
             "averaged like the weights (`use_buffers` of PyTorch). refresh: computed anew from training batches "
             "before each validation with it and at the end of training, as PyTorch's update_bn does.")
      .field("refresh_batches", &Average::refresh_batches, at_least(1),
             "With `buffers: refresh`, how many batches of the first epoch are gone through; by default all.",
             unit("batches"));
}

/// The path in a checkpoint of what an average holds instead of the variable: "model/0.weight" is
/// "average/ema/0.weight", and "models/student/0.weight" "average/ema/student/0.weight".
std::string average_path(std::string_view average, std::string_view variable);

/// The averages as state: for each one a group beside every group of parameters, and statistics if it has its own. What
/// an average does not hold (frozen parameters, counters) is the model's.
class AverageStates {
 public:
  /// Declares them, once the parameters are grouped. `statistics` are the models' running ones.
  void declare(StateSpec& state, const Named<Average>& averages, const std::vector<int>& statistics);
  /// Appends that every average takes up the weights as the graph leaves them, by the scalar rate_name().
  void update(Builder& builder) const;
  /// What stands in for the models' variables where they are used with this average.
  const std::map<int, int>& stand_ins(std::string_view average) const { return find(average).stand_ins; }
  /// The statistics that it has computed anew: empty without `buffers: refresh`, or where there are none.
  const std::set<int>& refreshed(std::string_view average) const { return find(average).refreshed; }

  static std::string rate_name(std::string_view average);

 private:
  struct One {
    std::string name;
    std::map<int, int> averaged;   ///< roots of groups, and statistics, to what averages them
    std::map<int, int> stand_ins;  ///< single variables
    std::set<int> refreshed;
  };
  const One& find(std::string_view average) const;

  std::vector<One> all_;
};

}  // namespace trainctl
