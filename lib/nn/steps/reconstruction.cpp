#include "nn/steps/labels.h"

namespace trainctl {
namespace {

/// The model's output held against its own input: an autoencoder. The data need no labels.
///   objective = loss(model(input), input)
/// Reports the loss, as its mean over samples, and the experiment's metrics against the input.
struct Reconstruction final : Step {
  std::string model;
  std::string input = "input";

  static Schema<Reconstruction> schema() {
    return Schema<Reconstruction>("Hold the model's output against its input, as an autoencoder; no labels are needed.")
        .field("model", &Reconstruction::model, "Which of several models.")
        .field("input", &Reconstruction::input, non_empty(), "Field that the model is given and must give back.")
        .example("reconstruction");
  }

  void build(Builder& b, Assembly& assembly, const StepProgram& program, const Batch& batch) const override {
    const Value given = batch.field(input);
    const Value output = output_of(b, assembly, given);
    const Component<Loss>& loss_component = assembly.required_loss("reconstruction");
    const Value loss = located(
        loss_component.source(), [] { return "loss"; }, [&] { return loss_component->build(b, output, given); });
    assembly.report(b, program.split, "loss", {{loss, static_cast<double>(batch.samples)}});
    const Value answer = report_labelled_metrics(b, assembly, program.split, batch, input, output);
    if (program.phase == Phase::evaluate) return assembly.give_output(b, model, answer);
    assembly.optimize(b, labelled_objective(b, assembly, program.phase, batch, input, output, loss), program.phase);
  }
  void predict(Builder& b, Assembly& assembly, const StepProgram&, const Batch& batch) const override {
    assembly.give_output(b, model, batch.in_own_unit(b, input, output_of(b, assembly, batch.field(input))));
  }
  std::vector<LabelledLoss> losses(const Component<Loss>* loss) const override { return single_loss(loss, input); }

 private:
  Value output_of(Builder& b, const Assembly& assembly, Value given) const {
    return only(assembly.apply_model(b, model, {given}), "reconstruction");
  }
};

const Register<Step, Reconstruction> registered{"reconstruction"};

}  // namespace
}  // namespace trainctl
