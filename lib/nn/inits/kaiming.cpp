#include <cmath>

#include "nn/init.h"

namespace trainctl {
namespace {

enum class Mode { fan_in, fan_out };
enum class Nonlinearity { linear, sigmoid, tanh, relu, leaky_relu, selu };

}  // namespace

template <>
struct EnumNames<Mode> {
  static constexpr EnumName<Mode> names[] = {{Mode::fan_in, "fan_in"}, {Mode::fan_out, "fan_out"}};
};
template <>
struct EnumNames<Nonlinearity> {
  static constexpr EnumName<Nonlinearity> names[] = {
      {Nonlinearity::linear, "linear"}, {Nonlinearity::sigmoid, "sigmoid"},       {Nonlinearity::tanh, "tanh"},
      {Nonlinearity::relu, "relu"},     {Nonlinearity::leaky_relu, "leaky_relu"}, {Nonlinearity::selu, "selu"}};
};

namespace {

/// Keeps the variance of activations (fan_in) or gradients (fan_out) through layers with rectifiers (He et al., 2015):
/// standard deviation gain / sqrt(fan), the gains as torch.nn.init.calculate_gain gives them.
struct Kaiming : Initializer {
  Mode mode = Mode::fan_in;
  Nonlinearity nonlinearity = Nonlinearity::leaky_relu;
  double a = 0.0;

  template <typename T>
  static Schema<T> fields(const char* doc) {
    return Schema<T>(doc)
        .field("mode", &Kaiming::mode, "Whose variance is kept: activations' (fan_in) or gradients' (fan_out).")
        .field("nonlinearity", &Kaiming::nonlinearity, "The activation that follows; it sets the gain.")
        .field("a", &Kaiming::a, "Slope of leaky_relu below zero; 0 is relu.");
  }
  double deviation(const Fans& fans) const { return gain() / std::sqrt(mode == Mode::fan_in ? fans.in : fans.out); }

 private:
  double gain() const {
    switch (nonlinearity) {
      case Nonlinearity::linear:
      case Nonlinearity::sigmoid:
        return 1.0;
      case Nonlinearity::tanh:
        return 5.0 / 3.0;
      case Nonlinearity::relu:
        return std::sqrt(2.0);
      case Nonlinearity::leaky_relu:
        return std::sqrt(2.0 / (1.0 + a * a));
      case Nonlinearity::selu:
        return 0.75;
    }
    return 1.0;
  }
};

struct KaimingUniform final : Kaiming {
  static Schema<KaimingUniform> schema() {
    return fields<KaimingUniform>("He's uniform distribution: +-gain * sqrt(3 / fan).")
        .example("{type: conv2d, out_channels: 32, kernel_size: 3, weight_init: {type: kaiming_uniform, a: 0.1}}");
  }
  Init init(const Fans& fans) const override {
    const double bound = std::sqrt(3.0) * deviation(fans);
    return Init::uniform(-bound, bound);
  }
};

struct KaimingNormal final : Kaiming {
  static Schema<KaimingNormal> schema() {
    return fields<KaimingNormal>("He's normal distribution: mean 0, standard deviation gain / sqrt(fan).")
        .example(
            "{type: conv2d, out_channels: 32, kernel_size: 3, weight_init: {type: kaiming_normal, mode: fan_out}}");
  }
  Init init(const Fans& fans) const override { return Init::normal(0.0, deviation(fans)); }
};

const Register<Initializer, KaimingUniform> uniform{"kaiming_uniform"};
const Register<Initializer, KaimingNormal> normal{"kaiming_normal"};

}  // namespace
}  // namespace trainctl
