#include "nn/functional.h"
#include "nn/loss.h"
#include "nn/target.h"
#include "ops/along.h"
#include "ops/elementwise.h"

namespace trainctl {
namespace {

/// How far output and target point apart, whatever their lengths: PyTorch's CosineEmbeddingLoss for pairs that belong
/// together. With x_i and t_i all numbers of a sample:
///   loss = mean over i of 1 - x_i . t_i / sqrt((|x_i|^2 + 1e-12) (|t_i|^2 + 1e-12))
/// Shapes: output and target (N, ...) alike.
struct Cosine final : Loss {
  static Schema<Cosine> schema() {
    return Schema<Cosine>("One minus the cosine of the angle between output and target, vectors of one length.")
        .example("cosine");
  }
  std::int64_t terms(const Value& output, const Value&) const override { return output.dim(0); }
  Value build(Builder& b, Value output, Value target) const override {
    const Value fitting = like_output(b, "cosine", output, target);
    const Shape samples{output.dim(0)};
    const AttributesPtr by_sample = nn::attributes(AlongAttributes(output.shape(), 0, 1));
    const auto dot = [&](Value x, Value y) { return b.apply1("dot_along", by_sample, {x, y}); };
    const auto squares = [&](Value x) {
      return b.apply1("add", nullptr, {dot(x, x), b.graph().constant({DType::f32, samples}, {1e-12})});
    };
    const Value product = b.apply1("multiply", nullptr, {squares(output), squares(fitting)});
    const Value inverse = b.apply1("power", nn::attributes(PowerAttributes(-0.5)), {product});
    const Value total =
        b.apply1("dot_along", nn::attributes(AlongAttributes(samples, 0, 0)), {dot(output, fitting), inverse});
    const Value mean = b.apply1("scale", nullptr, {total, b.graph().constant(-1.0 / static_cast<double>(samples[0]))});
    return b.apply1("add", nullptr, {mean, b.graph().constant(1.0)});
  }
};

const Register<Loss, Cosine> registered{"cosine"};

}  // namespace
}  // namespace trainctl
