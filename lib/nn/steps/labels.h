// What steps that know the right answers have in common.
#pragma once

#include <string>
#include <string_view>

#include "nn/located.h"
#include "nn/step.h"

namespace trainctl {

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
