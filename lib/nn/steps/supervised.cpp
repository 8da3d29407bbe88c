#include "nn/steps/labels.h"

namespace trainctl {
namespace {

/// The model's output for one field of the data, held against another.
///   objective = loss(model(input), target)
/// Reports the loss, as its mean over samples, and the experiment's metrics, these and the output in the target's own
/// unit where it is standardised.
struct Supervised final : Step {
  std::string model;
  std::string input = "input";
  std::string target = "target";

  static Schema<Supervised> schema() {
    return Schema<Supervised>("Hold the model's output for one field of the data against another.")
        .field("model", &Supervised::model, "Which of several models.")
        .field("input", &Supervised::input, non_empty(),
               "Field that the model is given, unless its `inputs` name fields.")
        .field("target", &Supervised::target, non_empty(), "Field that the loss and the metrics compare with.")
        .example("supervised");
  }

  void build(Builder& b, Assembly& assembly, const StepProgram& program, const Batch& batch) const override {
    const Value output = output_of(b, assembly, batch);
    const Value loss = labelled_loss(b, assembly, "supervised", batch, target, output);
    const Value weight = (*assembly.loss)->weight(b, batch.field(target));
    report_loss(b, assembly, program.split, "loss", batch, loss, weight);
    const Value answer = report_labelled_metrics(b, assembly, program.split, batch, target, output);
    if (program.phase == Phase::evaluate) return assembly.give_output(b, model, answer);
    const Value objective = labelled_objective(b, assembly, program.phase, batch, target, output, loss);
    assembly.optimize(b, objective, program.phase, {}, weight);
  }
  void predict(Builder& b, Assembly& assembly, const StepProgram&, const Batch& batch) const override {
    assembly.give_output(b, model, batch.in_own_unit(b, target, output_of(b, assembly, batch)));
  }
  std::vector<LabelledLoss> losses(const Component<Loss>* loss) const override { return single_loss(loss, target); }

 private:
  Value output_of(Builder& b, const Assembly& assembly, const Batch& batch) const {
    return only(assembly.apply_model(b, model, model_inputs(assembly, model, input, batch)), "supervised training");
  }
};

const Register<Step, Supervised> registered{"supervised"};

}  // namespace
}  // namespace trainctl
