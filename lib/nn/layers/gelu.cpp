#include "nn/functional.h"
#include "nn/layer.h"

namespace trainctl {
namespace {

enum class Approximation { none, tanh };

}  // namespace

template <>
struct EnumNames<Approximation> {
  static constexpr EnumName<Approximation> names[] = {{Approximation::none, "none"}, {Approximation::tanh, "tanh"}};
};

namespace {

/// y = x Phi(x), Phi the normal distribution's cumulative function, elementwise (Hendrycks & Gimpel, 2016).
struct Gelu final : Layer {
  Approximation approximate = Approximation::none;

  static Schema<Gelu> schema() {
    return Schema<Gelu>("Gaussian error linear unit: x * Phi(x).")
        .field("approximate", &Gelu::approximate, "Phi by erf (none), or by its tanh approximation.")
        .example("{type: gelu, approximate: tanh}");
  }
  Values build(Builder& b, const Values& in) const override {
    const auto kind = approximate == Approximation::tanh ? Activation::Kind::gelu_tanh : Activation::Kind::gelu;
    return {nn::activation(b, only(in, "gelu"), kind)};
  }
};

const Register<Layer, Gelu> registered{"gelu"};

}  // namespace
}  // namespace trainctl
