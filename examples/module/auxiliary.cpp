#include "nn/step.h"
#include "nn/steps/labels.h"

namespace {

using namespace trainctl;

/// A model with a second output from an early layer, which is held against the same labels (Szegedy et al., 2015):
///   objective = loss(first, target) + weight loss(second, target)
/// Reports the first's loss as "loss", the second's as "auxiliary_loss", and the metrics of the first.
struct Auxiliary final : Step {
  Live weight{0.3};

  static Schema<Auxiliary> schema() {
    return Schema<Auxiliary>("Classify by the model's first output, and train a second one along.")
        .field("weight", &Auxiliary::weight, at_least(0.0), "How much the second output's loss counts.")
        .example("{type: auxiliary, weight: 0.3}");
  }
  void build(Builder& b, Assembly& assembly, const StepProgram& program, const Batch& batch) const override {
    const Values outputs = outputs_of(b, assembly, batch);
    const Value first = labelled_loss(b, assembly, "auxiliary", batch, "target", outputs[0]);
    const Value second = labelled_loss(b, assembly, "auxiliary", batch, "target", outputs[1]);
    const auto samples = static_cast<double>(batch.samples);
    assembly.report(b, program.split, "loss", {{first, samples}});
    assembly.report(b, program.split, "auxiliary_loss", {{second, samples}});
    assembly.report_metrics(b, program.split, outputs[0], batch.field("target"));
    if (program.phase == Phase::evaluate) return assembly.give_output(b, "", outputs[0]);
    const Value weighted = b.apply1("scale", nullptr, {second, b.number(weight.value, weight.path)});
    assembly.optimize(b, b.apply1("add", nullptr, {first, weighted}), program.phase);
  }
  void predict(Builder& b, Assembly& assembly, const StepProgram&, const Batch& batch) const override {
    assembly.give_output(b, "", outputs_of(b, assembly, batch)[0]);
  }
  std::vector<LabelledLoss> losses(const Component<Loss>* loss) const override { return single_loss(loss, "target"); }

 private:
  static Values outputs_of(Builder& b, const Assembly& assembly, const Batch& batch) {
    Values outputs = assembly.apply_model(b, "", {batch.field("input")});
    if (outputs.size() == 2) return outputs;
    fail(ErrorKind::config, "the step 'auxiliary' needs a model of 2 outputs, this has {}", outputs.size());
  }
};
const Register<Step, Auxiliary> registered{"auxiliary"};

}  // namespace
