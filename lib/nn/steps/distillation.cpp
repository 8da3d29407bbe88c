#include "nn/functional.h"
#include "nn/steps/labels.h"
#include "ops/elementwise.h"
#include "ops/loss.h"
#include "ops/softmax.h"
#include "ops/support.h"

namespace trainctl {
namespace {

enum class DistillationTarget : std::uint8_t { outputs, logits };

}  // namespace

template <>
struct EnumNames<DistillationTarget> {
  static constexpr EnumName<DistillationTarget> names[] = {{DistillationTarget::outputs, "outputs"},
                                                           {DistillationTarget::logits, "logits"}};
};

namespace {

/// A student that learns what a teacher answers. The teacher is frozen and used as in evaluation. With s and t the
/// outputs of both, N samples:
///   outputs   soft = 1/N sum over samples and outputs of (t - s)^2 / 2
///   logits    soft = T^2/N sum of KL(softmax(t / T) || softmax(s / T)) over axis 1, T = temperature (Hinton, Vinyals &
///             Dean, 2015)
///   objective = alpha soft + (1 - alpha) loss(s, target); without labels (target: null) it is soft alone.
/// Reports the objective as "loss", its parts as "soft_loss" and "hard_loss", and with labels the metrics of the
/// student.
struct Distillation final : Step {
  std::string student = "student";
  std::string teacher = "teacher";
  std::string input = "input";
  std::optional<std::string> target{"target"};
  DistillationTarget match = DistillationTarget::logits;
  Live temperature{1.0};
  Live alpha{0.5};

  static Schema<Distillation> schema() {
    return Schema<Distillation>("Train a student to answer as a frozen teacher does, with labels or without.")
        .field("student", &Distillation::student, non_empty(), "The model that learns.")
        .field("teacher", &Distillation::teacher, non_empty(),
               "The model that it learns from: `freeze: \"*\"`, as a rule with `init_from`.")
        .field("input", &Distillation::input, non_empty(),
               "Field that both are given, unless their `inputs` name fields.")
        .field("target", &Distillation::target, "Field of the labels; null if there are none.")
        .field("match", &Distillation::match,
               "outputs: half the summed squared differences; logits: the divergence of softened softmaxes.")
        .field("temperature", &Distillation::temperature, above(0.0), "Softens both sides of `logits`.")
        .field("alpha", &Distillation::alpha, between(0.0, 1.0), "Weight of the teacher's part beside the labels'.")
        .example("{type: distillation, temperature: 4, alpha: 0.7}");
  }

  void build(Builder& b, Assembly& assembly, const StepProgram& program, const Batch& batch) const override {
    if (!assembly.model(teacher).frozen())
      fail(ErrorKind::config, "the teacher must not learn: add `freeze: \"*\"` to models.{}", teacher);
    const Value t = answer_of(b, assembly, teacher, "the teacher", batch);
    const Value s = answer_of(b, assembly, student, "the student", batch);
    if (s.shape() != t.shape()) {
      fail(ErrorKind::config, "the student gives {} and the teacher {}; their last layers must agree", s.shape().text(),
           t.shape().text());
    }
    const Value soft = match == DistillationTarget::outputs ? half_squares(b, s, t) : divergence(b, s, t);
    const auto samples = static_cast<double>(batch.samples);
    Value objective = soft;
    Value answer = s;
    if (target) {
      if (!assembly.required_loss("distillation")->is_plain(b))
        fail(ErrorKind::config, "distillation weights the loss's mean by `alpha`; leave out its reduction and scale");
      const Value hard = labelled_loss(b, assembly, "distillation", batch, *target, s);
      const Value weight = (*assembly.loss)->weight(b, batch.field(*target));
      if (weight && program.phase != Phase::whole && program.phase != Phase::evaluate)
        fail(ErrorKind::config,
             "distillation cannot weight classes over several batches; leave out class_weights, or trainer.accumulate");
      objective = mixed(b, soft, hard);
      assembly.report(b, program.split, "soft_loss", {{soft, samples}});
      report_loss(b, assembly, program.split, "hard_loss", batch, hard, weight);
      answer = report_labelled_metrics(b, assembly, program.split, batch, *target, s);
    }
    assembly.report(b, program.split, "loss", {{objective, samples}});
    if (program.phase != Phase::evaluate) return assembly.optimize(b, objective, program.phase);
    assembly.give_output(b, student, answer);
  }
  /// The student's answer; the teacher is not asked.
  void predict(Builder& b, Assembly& assembly, const StepProgram&, const Batch& batch) const override {
    const Value s = answer_of(b, assembly, student, "the student", batch);
    assembly.give_output(b, student, target ? batch.in_own_unit(b, *target, s) : s);
  }
  std::vector<LabelledLoss> losses(const Component<Loss>* loss) const override {
    return target ? single_loss(loss, *target) : std::vector<LabelledLoss>();
  }

 private:
  Value answer_of(Builder& b, const Assembly& assembly, const std::string& model, const char* who,
                  const Batch& batch) const {
    return only(assembly.apply_model(b, model, model_inputs(assembly, model, input, batch)), who);
  }

  static Value scaled(Builder& b, Value x, Value factor) { return b.apply1("scale", nullptr, {x, factor}); }

  static Value half_squares(Builder& b, Value s, Value t) {
    PointwiseLossAttributes squared;
    squared.kind = PointwiseLossAttributes::Kind::squared;
    const Value mean = b.apply1("pointwise_loss", nn::attributes(squared), {s, t});
    const double outputs = static_cast<double>(s.shape().elements()) / static_cast<double>(s.dim(0));
    return scaled(b, mean, b.graph().constant(0.5 * outputs));
  }

  Value divergence(Builder& b, Value s, Value t) const {
    const Value heat = b.number(temperature.value, temperature.path);
    const Value cool = b.apply1("reciprocal", nullptr, {heat});
    const auto axis = nn::attributes(SoftmaxAttributes(1));
    const Value soft_t = scaled(b, t, cool);
    const Value p = b.apply1("softmax", axis, {soft_t});
    const Value log_p = b.apply1("log_softmax", axis, {soft_t});
    const Value log_q = b.apply1("log_softmax", axis, {scaled(b, s, cool)});
    const Value entropy = dot(b, p, log_p), cross = dot(b, p, log_q);
    const Value sum = b.apply1("add", nullptr, {entropy, scaled(b, cross, b.graph().constant(-1.0))});
    const Value mean = scaled(b, sum, b.graph().constant(1.0 / static_cast<double>(s.dim(0))));
    return scaled(b, scaled(b, mean, heat), heat);
  }

  Value mixed(Builder& b, Value soft, Value hard) const {
    const Value weight = b.number(alpha.value, alpha.path);
    const Value one = b.graph().constant(1.0);
    const Value rest = b.apply1("add", nullptr, {one, scaled(b, weight, b.graph().constant(-1.0))});
    return b.apply1("add", nullptr, {scaled(b, soft, weight), scaled(b, hard, rest)});
  }
};

const Register<Step, Distillation> registered{"distillation"};

}  // namespace
}  // namespace trainctl
