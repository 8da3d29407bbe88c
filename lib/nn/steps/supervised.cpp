#include "nn/located.h"
#include "nn/step.h"

namespace trainctl {
namespace {

/// The model's output for one field of the data, held against another.
///   objective = loss(model(input), target)
/// Reports the loss, as its mean over samples, and the experiment's metrics.
struct Supervised final : Step {
  std::string input = "input";
  std::string target = "target";

  static Schema<Supervised> schema() {
    return Schema<Supervised>("Hold the model's output for one field of the data against another.")
        .field("input", &Supervised::input, non_empty(), "Field that the model is given.")
        .field("target", &Supervised::target, non_empty(), "Field that the loss and the metrics compare with.")
        .example("supervised");
  }

  void build(Builder& b, Assembly& assembly, Phase phase, std::string_view split, const Batch& batch) const override {
    const Value output = only(assembly.apply_model(b, {batch.field(input)}), "supervised training");
    const Value target_value = batch.field(target);
    const Component<Loss>& loss_component = *assembly.loss;
    expect_enough_outputs(loss_component, batch, output);
    const Value loss = located(
        loss_component.source(), [] { return "loss"; }, [&] { return loss_component->build(b, output, target_value); });
    assembly.report(b, split, "loss", {{loss, static_cast<double>(batch.samples)}});
    for (const auto& [name, metric] : *assembly.metrics) {
      const auto what = [&name = name] { return fmt::format("metric '{}'", name); };
      const auto terms =
          located(metric.source(), what, [&, &metric = metric] { return metric->build(b, output, target_value); });
      assembly.report(b, split, name, terms, metric.get());
    }
    if (phase != Phase::evaluate) return assembly.optimize(b, loss, phase);
    const Component<Layer>& activation = assembly.model->output;
    b.graph().output("output",
                     activation ? only(build_child(b, activation, "output", {output}), "supervised training") : output);
  }

 private:
  /// A class without an output of its own would be a label out of range in the first batch that has it.
  void expect_enough_outputs(const Component<Loss>& loss, const Batch& batch, const Value& output) const {
    const auto classes = batch.classes.find(target);
    if (!loss->takes_classes() || classes == batch.classes.end() || output.shape().rank() < 2 ||
        output.dim(1) >= classes->second)
      return;
    located(
        loss.source(), [] { return "loss"; },
        [&] {
          fail(ErrorKind::config,
               "the data has {} classes, but the model gives {} outputs for a sample; set out_features of its last "
               "layer to {}",
               classes->second, output.dim(1), classes->second);
        });
  }
};

const Register<Step, Supervised> registered{"supervised"};

}  // namespace
}  // namespace trainctl
