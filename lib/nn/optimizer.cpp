#include "nn/optimizer.h"

namespace trainctl {

Schema<ParameterGroup> ParameterGroup::schema() {
  return Schema<ParameterGroup>("Parameters with hyper-parameters of their own.")
      .required("match", &ParameterGroup::match, non_empty(),
                "Shell patterns over the names of parameters (`*.bias`), as `check` lists them.")
      .field("lr", &ParameterGroup::lr, at_least(0.0), "Learning rate instead of the optimizer's.")
      .field("weight_decay", &ParameterGroup::weight_decay, at_least(0.0), "Weight decay instead of the optimizer's.")
      .example("{match: [\"*.bias\", \"*norm*\"], weight_decay: 0}");
}

namespace {

Value number(Builder& builder, const Live& general, const std::optional<Live> ParameterGroup::*own,
             const ParameterGroup* overrides) {
  const Live& live = overrides && overrides->*own ? *(overrides->*own) : general;
  return builder.number(live.value, live.path);
}

}  // namespace

Value Optimizer::learning_rate(Builder& builder, const OptimizerGroup& group) const {
  return number(builder, lr, &ParameterGroup::lr, group.overrides);
}

Value Optimizer::decay(Builder& builder, const OptimizerGroup& group) const {
  return number(builder, weight_decay, &ParameterGroup::weight_decay, group.overrides);
}

int Optimizer::slot(Builder& builder, const OptimizerGroup& group, const std::string& name) {
  const std::string path = "optimizer/" + group.name + "/" + name;
  return builder.graph().state_spec().make_group_like(path, group.parameters, path, Init::zeros(), true);
}

void Optimizer::update(Builder& builder, const std::vector<int>& states, const Values& values) {
  require(states.size() == values.size(), "an optimizer's op gave another number of values than it has states");
  for (std::size_t i = 0; i < states.size(); ++i) builder.graph().update(states[i], values[i]);
}

}  // namespace trainctl
