#include "nn/functional.h"
#include "nn/layer.h"
#include "ops/elementwise.h"

namespace trainctl {
namespace {

/// Sets elements to zero at random while training (Srivastava et al., 2014).
///   y = x m / (1 - p), m = 1 with probability 1 - p, else 0; in evaluation y = x
struct Dropout final : Layer {
  Live p{0.5};

  static Schema<Dropout> schema() {
    return Schema<Dropout>("Set elements to zero at random while training.")
        .field("p", &Dropout::p, at_least(0.0), below(1.0), "Probability of a zero.")
        .example("{type: dropout, p: 0.2}");
  }
  Values build(Builder& b, const Values& in) const override {
    const Value x = only(in, "dropout");
    const bool nothing = p.value == 0.0 && !b.context().live.contains(p.path);
    if (!b.training() || nothing) return {x};
    return {b.apply1("dropout", nn::attributes(DropoutAttributes(b.random_stream())),
                     {x, b.number(p.value, p.path), b.step()})};
  }
};

const Register<Layer, Dropout> registered{"dropout"};

}  // namespace
}  // namespace trainctl
