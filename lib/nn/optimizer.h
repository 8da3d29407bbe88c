// Optimizers: from gradients to the next version of the parameters.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "graph/builder.h"
#include "schema/schema.h"

namespace trainctl {

/// Parameters that share hyper-parameters: `groups: {no_decay: {match: ["*.bias", "*norm*"], weight_decay: 0}}`.
struct ParameterGroup {
  std::vector<std::string> match;    ///< shell patterns over parameter names ("0.weight"); the first group that matches
                                     ///< takes a parameter
  std::optional<Live> lr;            ///< instead of the optimizer's own
  std::optional<Live> weight_decay;  ///< instead of the optimizer's own
  static Schema<ParameterGroup> schema();
};

/// What an optimizer updates at once: flat, one launch.
struct OptimizerGroup {
  std::string name;      ///< "default", or the parameter group's: part of its slots' paths in checkpoints,
                         ///< "optimizer/default/exp_avg/0.weight"
  int parameters = -1;   ///< root of the parameters in the StateSpec
  Value gradients;       ///< f32, flat, like the root
  Value gradient_scale;  ///< f32 scalar or null: multiplies the gradients first
  Value finite;          ///< i32 scalar or null: where it is 0, nothing changes
  const ParameterGroup* overrides = nullptr;  ///< null for the rest
};

/// An optimizer. One file each in lib/nn/optim.
struct Optimizer {
  static constexpr const char* kind = "optimizer";

  Live lr{1e-3};
  Live weight_decay{0.0};
  OrderedMap<ParameterGroup> groups;
  std::vector<std::string> trains;

  virtual ~Optimizer() = default;
  /// Appends the update of one group: new parameters, new slots. Slots are groups like the parameters'
  /// (StateSpec::make_group_like), named "optimizer/<group name>/<slot>", saved.
  virtual void build(Builder& builder, const OptimizerGroup& group) const = 0;

  template <typename T>
  static void common(Schema<T>& schema);

 protected:
  Value learning_rate(Builder& builder, const OptimizerGroup& group) const;
  Value decay(Builder& builder, const OptimizerGroup& group) const;
  /// The root of a slot of the group, declared if new: zeros at the start.
  static int slot(Builder& builder, const OptimizerGroup& group, const std::string& name);
  /// Each state variable takes the value at its place.
  static void update(Builder& builder, const std::vector<int>& states, const Values& values);
};

template <typename T>
void Optimizer::common(Schema<T>& schema) {
  schema.field("lr", &Optimizer::lr, at_least(0.0), resume(Resume::forced), "Learning rate.")
      .field("weight_decay", &Optimizer::weight_decay, at_least(0.0), resume(Resume::forced),
             "How strongly weights are pulled to zero, as the optimizer defines.")
      .field("groups", &Optimizer::groups,
             "Parameters with hyper-parameters of their own, by patterns over their names; the first group that "
             "matches takes a parameter.")
      .field(
          "trains", &Optimizer::trains,
          "With several models: names of those that it updates; by default, one of `optimizers` updates the model of "
          "its name, and `optimizer` all.");
}

}  // namespace trainctl
