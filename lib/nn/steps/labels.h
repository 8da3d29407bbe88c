// What steps that know the right answers have in common.
#pragma once

#include <string>
#include <string_view>

#include "nn/located.h"
#include "nn/step.h"

namespace trainctl {

/// What a model is given: the fields that its `inputs` name, else the field `input`.
inline Values model_inputs(const Assembly& assembly, std::string_view model, std::string_view input,
                           const Batch& batch) {
  const Component<Layer>& root = assembly.model(model).root;
  if (!root->inputs) return {batch.field(input)};
  Values values;
  for (const std::string& name : *root->inputs) values.push_back(batch.field(name));
  return values;
}

/// The experiment's loss, held against a field.
inline std::vector<LabelledLoss> single_loss(const Component<Loss>* loss, const std::string& field) {
  if (!loss) return {};
  return {{loss, field, "loss"}};
}

/// A class without an output of its own would be a label out of range in the first batch that has it.
inline void expect_enough_outputs(const Component<Loss>& loss, const Batch& batch, std::string_view target,
                                  const Value& output) {
  const auto classes = batch.classes.find(target);
  if (!loss->takes_classes() || classes == batch.classes.end() || output.shape().rank() < 2 ||
      output.dim(1) >= classes->second)
    return;
  fail(ErrorKind::config,
       "the data has {} classes, but the model gives {} outputs for a sample; set out_features of its last layer to {}",
       classes->second, output.dim(1), classes->second);
}

/// The experiment's loss of an output and a field of the batch, its faults with the place of `loss`.
inline Value labelled_loss(Builder& builder, const Assembly& assembly, std::string_view step, const Batch& batch,
                           std::string_view target, Value output) {
  const Component<Loss>& loss = assembly.required_loss(step);
  const Value labels = batch.field(target);
  return located(
      loss.source(), [] { return "loss"; },
      [&] {
        expect_enough_outputs(loss, batch, target, output);
        return loss->build(builder, output, labels);
      });
}

/// Reports a loss that labelled_loss() gave, as its mean over all samples, weighted as the loss is.
inline void report_loss(Builder& builder, Assembly& assembly, std::string_view split, std::string_view name,
                        const Batch& batch, Value loss, Value weight) {
  if (!weight) return assembly.report(builder, split, name, {{loss, static_cast<double>(batch.samples)}});
  const Value sum = builder.apply1("scale", nullptr, {loss, weight});
  assembly.report(builder, split, name, {{sum, 1.0}, {weight, 1.0}});
}

/// Reports the experiment's metrics of an output for a field, both in the field's own unit; gives that output.
inline Value report_labelled_metrics(Builder& builder, Assembly& assembly, std::string_view split, const Batch& batch,
                                     std::string_view target, Value output) {
  const Value in_own_unit = batch.in_own_unit(builder, target, output);
  assembly.report_metrics(builder, split, in_own_unit, batch.original(target));
  return in_own_unit;
}

/// What an update makes small of a loss that labelled_loss() gave.
inline Value labelled_objective(Builder& builder, const Assembly& assembly, Phase phase, const Batch& batch,
                                std::string_view target, Value output, Value mean) {
  const Component<Loss>& loss = *assembly.loss;
  return located(
      loss.source(), [] { return "loss"; },
      [&] {
        return loss->objective(builder, mean, output, batch.field(target), batch.samples, phase != Phase::whole);
      });
}

}  // namespace trainctl
