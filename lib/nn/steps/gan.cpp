#include "nn/functional.h"
#include "nn/step.h"
#include "ops/loss.h"
#include "ops/noise.h"

namespace trainctl {
namespace {

/// Two networks against each other (Goodfellow et al., 2014), with the loss for the generator that does not saturate.
/// With real samples x, noise z of `latent` normal numbers a sample, D the discriminator's one logit:
///   program 1   updates D by  L_D = (bce(D(x), real_label) + bce(D(G(z)), 0)) / 2
///   program 2   updates G by  L_G = bce(D(G(z)), 1), with the D that program 1 left and fresh noise
/// Needs models.generator and models.discriminator, and an optimizer of each of these names. Labels are not used.
/// Reports "discriminator_loss" and "generator_loss"; evaluation reports both for one noise each batch, and its output
/// is what the generator gives.
struct Gan final : Step {
  std::string generator = "generator";
  std::string discriminator = "discriminator";
  std::string input = "input";
  std::int64_t latent = 64;
  Live real_label{1.0};

  static Schema<Gan> schema() {
    return Schema<Gan>("Train a generator against a discriminator, each with its own optimizer, in turns.")
        .field("generator", &Gan::generator, non_empty(), "The model that turns noise into samples.")
        .field("discriminator", &Gan::discriminator, non_empty(), "The model that gives a logit: real or not.")
        .field("input", &Gan::input, non_empty(), "Field of the real samples.")
        .field("latent", &Gan::latent, between(1, 1 << 20), "Numbers of noise for a sample.")
        .field("real_label", &Gan::real_label, between(0.0, 1.0),
               "What the discriminator should say of real samples; 0.9 smooths one side (Salimans et al., 2016).")
        .example("{type: gan, latent: 64, real_label: 0.9}");
  }

  int entries() const override { return 2; }

  void build(Builder& b, Assembly& assembly, const StepProgram& program, const Batch& batch) const override {
    const auto samples = static_cast<double>(batch.samples);
    const bool evaluates = program.phase == Phase::evaluate;
    const Value real = batch.field(input);
    const Value fake = generated(b, assembly, program, real);
    if (evaluates || program.entry == 0) {
      const Value said = judged(b, assembly, real);
      const Value loss = halved(b, verdict(b, said, b.number(real_label.value, real_label.path)),
                                verdict(b, judged(b, assembly, fake), b.graph().constant(0.0)));
      assembly.report(b, program.split, "discriminator_loss", {{loss, samples}});
      if (!evaluates) return assembly.optimize(b, loss, program.phase, discriminator);
    }
    const Value loss = verdict(b, judged(b, assembly, fake), b.graph().constant(1.0));
    assembly.report(b, program.split, "generator_loss", {{loss, samples}});
    if (!evaluates) return assembly.optimize(b, loss, program.phase, generator);
    assembly.give_output(b, generator, fake);
  }

  /// One generated sample for each of the batch, the same as in evaluation.
  void predict(Builder& b, Assembly& assembly, const StepProgram& program, const Batch& batch) const override {
    assembly.give_output(b, generator, generated(b, assembly, program, batch.field(input)));
  }

 private:
  /// G(z), as large as the real samples. Evaluation draws by the batch's place in its split, so that it is repeatable.
  Value generated(Builder& b, const Assembly& assembly, const StepProgram& program, Value real) const {
    const bool evaluates = !program.trains();
    const Value index = evaluates ? b.graph().scalar("position", DType::i64) : b.step();
    const std::uint64_t stream =
        b.random_stream(fmt::format("gan.{}.{}", evaluates ? std::string(program.split) : "noise", program.entry));
    const Value noise =
        b.apply1("random_normal", nn::attributes(NoiseAttributes({real.dim(0), latent}, stream)), {index});
    const Value fake = only(assembly.apply_model(b, generator, {noise}), "the generator");
    if (fake.shape() != real.shape()) {
      fail(ErrorKind::config, "models.{} gives {} for noise of {} numbers, and the data are {}; end it with a reshape",
           generator, fake.shape().slice(1).text(), latent, real.shape().slice(1).text());
    }
    return fake;
  }

  Value judged(Builder& b, const Assembly& assembly, Value sample) const {
    const Value said = only(assembly.apply_model(b, discriminator, {sample}), "the discriminator");
    if (said.shape().elements() != sample.dim(0)) {
      fail(ErrorKind::config, "models.{} gives {} for a sample, and one logit is needed: out_features: 1",
           discriminator, said.shape().slice(1).text());
    }
    return said;
  }

  /// Mean binary cross-entropy of logits against one label for all.
  static Value verdict(Builder& b, Value logits, Value label) {
    PointwiseLossAttributes bce;
    bce.kind = PointwiseLossAttributes::Kind::bce_with_logits;
    const Value ones = b.graph().constant(logits.type(), {1.0});
    const Value labels = b.apply1("scale", nullptr, {ones, label});
    return b.apply1("pointwise_loss", nn::attributes(bce), {logits, labels});
  }

  static Value halved(Builder& b, Value one, Value other) {
    return b.apply1("scale", nullptr, {b.apply1("add", nullptr, {one, other}), b.graph().constant(0.5)});
  }
};

const Register<Step, Gan> registered{"gan"};

}  // namespace
}  // namespace trainctl
