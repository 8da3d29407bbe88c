#include "nn/functional.h"
#include "nn/loss.h"
#include "nn/target.h"
#include "ops/along.h"
#include "ops/elementwise.h"
#include "ops/softmax.h"

namespace trainctl {
namespace {

/// Losses of how well regions overlap. p are probabilities and t the truth, both (N, C, ...): with class numbers (N,
/// ...) as targets p = softmax(output) over axis 1 and t is 1 at the class, with targets between 0 and 1 of the
/// output's shape p = sigmoid(output). For each class c (and with per_sample each sample), sums over all else:
///   TP = sum p t,  P = sum p,  T = sum t
struct Overlap : Loss {
  double smooth = 1.0;
  bool per_sample = false;

  std::int64_t terms(const Value& output, const Value&) const override {
    return per_sample ? output.dim(0) * output.dim(1) : output.dim(1);
  }
  Link link(bool classes) const override { return classes ? Link::softmax : Link::sigmoid; }

 protected:
  template <typename T>
  static Schema<T> fields(const char* doc) {
    return Schema<T>(doc)
        .field("smooth", &Overlap::smooth, above(0.0), "Added above and below; it decides about empty regions.")
        .field("per_sample", &Overlap::per_sample,
               "Whether each sample's regions are compared on their own; by default the whole batch's together.");
  }

  /// 1 - mean of (a TP + smooth) / (b TP + c P + d T + smooth)
  struct Weights {
    double a, b, c, d;
  };
  Value ratio(Builder& builder, std::string_view who, Value output, Value target, const Weights& weights) const {
    const Shape shape = output.shape();
    if (shape.rank() < 2) fail(ErrorKind::config, "{} needs outputs (N, C, ...), got {}", who, shape.text());
    const auto [p, t] = probabilities(builder, who, output, target);
    const AttributesPtr regions = nn::attributes(AlongAttributes(shape, per_sample ? 0 : 1, 2));
    const Value hits = builder.apply1("dot_along", regions, {p, t});
    const Value said = builder.apply1("dot_along", regions, {p, {}});
    const Value truth = builder.apply1("dot_along", regions, {t, {}});
    const Shape kept = hits.shape();
    const auto times = [&](Value x, double factor) {
      return builder.apply1("scale", nullptr, {x, builder.graph().constant(factor)});
    };
    const auto plus = [&](Value x, Value y) { return builder.apply1("add", nullptr, {x, y}); };
    const Value smoothing = builder.graph().constant({DType::f32, kept}, {smooth});
    const Value above = plus(times(hits, weights.a), smoothing);
    Value below = plus(plus(times(said, weights.c), times(truth, weights.d)), smoothing);
    if (weights.b != 0.0) below = plus(times(hits, weights.b), below);
    const Value inverse = builder.apply1("power", nn::attributes(PowerAttributes(-1.0)), {below});
    const Value total = builder.apply1("dot_along", nn::attributes(AlongAttributes(kept, 0, 0)), {above, inverse});
    return plus(times(total, -1.0 / static_cast<double>(kept.elements())), builder.graph().constant(1.0));
  }

 private:
  static std::pair<Value, Value> probabilities(Builder& b, std::string_view who, Value output, Value target) {
    const DType dtype = target.type().dtype;
    const bool classes = (dtype == DType::i64 || dtype == DType::i32) && output.dim(1) > 1;
    if (!classes) {
      const Value t = like_output(b, who, output, target);
      return {nn::activation(b, output, Activation::Kind::sigmoid), t};
    }
    expect_classes(who, output, target);
    const Value p = b.apply1("softmax", nn::attributes(SoftmaxAttributes(1)), {output});
    return {p, b.apply1("one_hot", nn::attributes(OneHotAttributes(output.dim(1))), {target})};
  }
};

/// 1 - (2 TP + smooth) / (P + T + smooth), averaged over classes (Milletari, Navab & Ahmadi, 2016; Sudre et al., 2017).
struct Dice final : Overlap {
  static Schema<Dice> schema() {
    return fields<Dice>("One minus the overlap of regions in proportion to their sizes (F1 score); takes logits.")
        .example("{type: dice, per_sample: true}");
  }
  Value build(Builder& b, Value output, Value target) const override {
    return ratio(b, "dice", output, target, {2.0, 0.0, 1.0, 1.0});
  }
};

/// 1 - (TP + smooth) / (TP + alpha FP + beta FN + smooth), FP = P - TP, FN = T - TP, averaged over classes (Salehi,
/// Erdogmus & Gholipour, 2017). alpha = beta = 1/2 is dice, 1 each the Jaccard index.
struct Tversky final : Overlap {
  double alpha = 0.5;
  double beta = 0.5;

  static Schema<Tversky> schema() {
    return fields<Tversky>("One minus the overlap of regions, false alarms and misses weighted apart; takes logits.")
        .field("alpha", &Tversky::alpha, at_least(0.0), "Weight of what is said and not so.")
        .field("beta", &Tversky::beta, at_least(0.0), "Weight of what is so and not said.")
        .example("{type: tversky, alpha: 0.3, beta: 0.7}");
  }
  Value build(Builder& b, Value output, Value target) const override {
    return ratio(b, "tversky", output, target, {1.0, 1.0 - alpha - beta, alpha, beta});
  }
};

const Register<Loss, Dice> dice{"dice"};
const Register<Loss, Tversky> tversky{"tversky"};

}  // namespace
}  // namespace trainctl
