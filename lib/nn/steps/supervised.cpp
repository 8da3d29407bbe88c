#include "nn/steps/labels.h"

namespace trainctl {
namespace {

/// The model's output for one field of the data, held against another.
///   objective = loss(model(input), target)
/// Reports the loss, as its mean over samples, and the experiment's metrics.
struct Supervised final : Step {
  std::string model;
  std::string input = "input";
  std::string target = "target";

  static Schema<Supervised> schema() {
    return Schema<Supervised>("Hold the model's output for one field of the data against another.")
        .field("model", &Supervised::model, "Which of several models.")
        .field("input", &Supervised::input, non_empty(), "Field that the model is given.")
        .field("target", &Supervised::target, non_empty(), "Field that the loss and the metrics compare with.")
        .example("supervised");
  }

  void build(Builder& b, Assembly& assembly, const StepProgram& program, const Batch& batch) const override {
    const Value output = only(assembly.apply_model(b, model, {batch.field(input)}), "supervised training");
    const Value target_value = batch.field(target);
    const Value loss = labelled_loss(b, assembly, "supervised", batch, target, output);
    assembly.report(b, program.split, "loss", {{loss, static_cast<double>(batch.samples)}});
    assembly.report_metrics(b, program.split, output, target_value);
    if (program.phase == Phase::evaluate) return assembly.give_output(b, model, output);
    assembly.optimize(b, labelled_objective(b, assembly, program.phase, batch, target, output, loss), program.phase);
  }
};

const Register<Step, Supervised> registered{"supervised"};

}  // namespace
}  // namespace trainctl
