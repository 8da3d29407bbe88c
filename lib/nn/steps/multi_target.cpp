#include "base/text.h"
#include "nn/functional.h"
#include "nn/steps/labels.h"

namespace trainctl {
namespace {

/// What one output of the model is held against.
struct OutputSpec {
  Component<Loss> loss;
  Live weight{1.0};
  Named<Metric> metrics;

  static Schema<OutputSpec> schema() {
    return Schema<OutputSpec>("What one output of the model is held against.")
        .required("loss", &OutputSpec::loss, "Of this output and the field.")
        .field("weight", &OutputSpec::weight, at_least(0.0), "Of this loss in the sum that an update makes small.")
        .field("metrics", &OutputSpec::metrics, "What is measured of this output beside the loss.")
        .example("{loss: mse, weight: 0.1, metrics: {mean_absolute_error: {}}}");
  }
};

/// A model of several outputs, each held against a field of the data. With o_k the k-th output:
///   objective = sum over targets of weight_k loss_k(o_k, field_k)
/// Reports the weighted sum of the losses' means as "loss", each as "<field>_loss", and each target's metrics as
/// "<field>_<metric>", in the field's own unit where it is standardised.
struct MultiTarget final : Step {
  std::string model;
  std::string input = "input";
  OrderedMap<OutputSpec> targets;

  static Schema<MultiTarget> schema() {
    return Schema<MultiTarget>("Hold each output of the model against a field of its own.")
        .field("model", &MultiTarget::model, "Which of several models.")
        .field("input", &MultiTarget::input, non_empty(),
               "Field that the model is given, unless its `inputs` name fields.")
        .required("targets", &MultiTarget::targets, non_empty(),
                  "Fields in the order of the model's outputs, each with its loss.")
        .example(
            "{type: multi_target, targets: {kind: {loss: cross_entropy, metrics: {accuracy: {}}}, "
            "age: {loss: mse, weight: 0.1}}}");
  }

  void build(Builder& b, Assembly& assembly, const StepProgram& program, const Batch& batch) const override {
    refuse_single(assembly);
    const Values outputs = outputs_of(b, assembly, batch);
    Value objective, mean;
    for (std::size_t k = 0; k < outputs.size(); ++k) {
      const auto& [field, target] = targets.items[k];
      const Terms terms = located(
          target.loss.source(), [&field = field] { return "the loss of " + field; },
          [&, &field = field, &target = target] {
            return build_one(b, assembly, program, batch, field, target, outputs[k]);
          });
      objective = sum(b, objective, terms.objective);
      mean = sum(b, mean, terms.mean);
    }
    assembly.report(b, program.split, "loss", {{mean, static_cast<double>(batch.samples)}});
    if (program.phase != Phase::evaluate) assembly.optimize(b, objective, program.phase);
  }

  void predict(Builder& b, Assembly& assembly, const StepProgram&, const Batch& batch) const override {
    const Values outputs = outputs_of(b, assembly, batch);
    for (std::size_t k = 0; k < outputs.size(); ++k) {
      const std::string& field = targets.items[k].first;
      b.graph().output("output/" + field, batch.in_own_unit(b, field, outputs[k]));
    }
  }

  std::vector<LabelledLoss> losses(const Component<Loss>*) const override {
    std::vector<LabelledLoss> all;
    for (const auto& [field, target] : targets)
      all.push_back({&target.loss, field, fmt::format("step.targets.{}.loss", field)});
    return all;
  }

 private:
  struct Terms {
    Value objective;
    Value mean;
  };

  Values outputs_of(Builder& b, const Assembly& assembly, const Batch& batch) const {
    Values outputs = assembly.apply_model(b, model, model_inputs(assembly, model, input, batch));
    if (outputs.size() == targets.size()) return outputs;
    fail(ErrorKind::config, "step.targets has {} and the model {}; let the graph's `outputs` name one for each",
         counted(targets.size(), "field"), counted(outputs.size(), "output"));
  }

  static Value sum(Builder& b, Value so_far, Value term) {
    return so_far ? b.apply1("add", nullptr, {so_far, term}) : term;
  }

  void refuse_single(const Assembly& assembly) const {
    if (assembly.loss) fail(ErrorKind::config, "multi_target has a loss for each target; remove `loss`");
    if (!assembly.metrics->empty())
      fail(ErrorKind::config, "multi_target has metrics for each target; move `metrics` there");
    if (assembly.model(model).output)
      fail(ErrorKind::config, "multi_target has no single output; remove the model's `output`");
  }

  static Terms build_one(Builder& b, Assembly& assembly, const StepProgram& program, const Batch& batch,
                         const std::string& field, const OutputSpec& target, Value output) {
    const Component<Loss>& loss = target.loss;
    const Value label = batch.field(field);
    expect_enough_outputs(loss, batch, field, output);
    const Value mean = loss->build(b, output, label);
    const Value class_weight = loss->weight(b, label);
    const bool accumulates = program.phase != Phase::whole && program.phase != Phase::evaluate;
    if (class_weight && accumulates)
      fail(ErrorKind::config,
           "one of several losses cannot weight classes over several batches; leave out class_weights, or "
           "trainer.accumulate");
    report_loss(b, assembly, program.split, field + "_loss", batch, mean, class_weight);
    const Value answer = batch.in_own_unit(b, field, output);
    for (const auto& [name, metric] : target.metrics) {
      const auto terms = metric->build(b, answer, batch.original(field));
      assembly.report(b, program.split, field + "_" + name, terms, metric.get());
    }
    if (program.phase == Phase::evaluate) b.graph().output("output/" + field, answer);
    const Value weight = b.number(target.weight.value, target.weight.path);
    const Value whole = loss->objective(b, mean, output, label, batch.samples, accumulates);
    return {b.apply1("scale", nullptr, {whole, weight}), b.apply1("scale", nullptr, {mean, weight})};
  }
};

const Register<Step, MultiTarget> registered{"multi_target"};

}  // namespace
}  // namespace trainctl
