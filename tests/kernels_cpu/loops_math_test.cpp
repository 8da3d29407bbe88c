// Accuracy of the elementary functions in loops, on every level that this machine runs.
#include <cmath>

#include "kernels_cpu/loops_run.h"
#include "ops/activation.h"

using namespace trainctl;
using namespace trainctl::test;

namespace {

std::vector<float> activated(Activation::Kind kind, const std::vector<float>& x) {
  const ActivationAttributes attributes(Activation{kind, 1.0});
  const TensorType type{DType::f32, {static_cast<std::int64_t>(x.size())}};
  return LoopRun{.op = "activation", .attributes = &attributes, .inputs = {type}, .values = {x}, .outputs = {type}}
      .run()[0];
}

std::vector<float> sweep(float low, float high, int count) {
  std::vector<float> x;
  for (int i = 0; i < count; ++i)
    x.push_back(low + (high - low) * static_cast<float>(i) / static_cast<float>(count - 1));
  for (const float tiny : {0.0f, 1e-30f, -1e-30f, 1e-8f, -1e-8f, 0x1p-126f}) x.push_back(tiny);
  return x;
}

double worst_ulp(const std::vector<float>& got, const std::vector<float>& x, double (*exact)(double)) {
  double worst = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double value = exact(x[i]);
    const auto nearest = static_cast<float>(std::abs(value));
    const double ulp = std::max(static_cast<double>(std::nextafter(nearest, INFINITY)) - nearest, 0x1p-149);
    worst = std::max(worst, std::abs(got[i] - value) / ulp);
  }
  return worst;
}

}  // namespace

TEST_CASE("tanh, sigmoid and e^x - 1 are within a few units in the last place") {
  for (const cpu::Isa level : all_levels) {
    const UseIsa use(level);
    CAPTURE(std::string(cpu::name(cpu::isa())));
    const std::vector<float> wide = sweep(-12, 12, 200001), negative = sweep(-20, -1e-6f, 100001),
                             far = sweep(-86, 86, 100001);
    CHECK(worst_ulp(activated(Activation::Kind::tanh, wide), wide, [](double x) { return std::tanh(x); }) < 4);
    CHECK(worst_ulp(activated(Activation::Kind::sigmoid, far), far, [](double x) { return 1 / (1 + std::exp(-x)); }) <
          4);
    CHECK(worst_ulp(activated(Activation::Kind::elu, negative), negative,
                    [](double x) { return x > 0 ? x : std::expm1(x); }) < 8);
  }
}

TEST_CASE("gelu's error function is within rounding of its size") {
  for (const cpu::Isa level : all_levels) {
    const UseIsa use(level);
    const std::vector<float> x = sweep(-8, 8, 200001);
    const std::vector<float> y = activated(Activation::Kind::gelu, x);
    double worst = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
      const double exact = 0.5 * x[i] * (1 + std::erf(x[i] / std::sqrt(2.0)));
      worst = std::max(worst, std::abs(y[i] - exact) / std::max(1e-30, std::abs(static_cast<double>(x[i]))));
    }
    CHECK(worst < 3e-7);
  }
}

TEST_CASE("activations pass NaN on and saturate at infinity") {
  for (const cpu::Isa level : all_levels) {
    const UseIsa use(level);
    const std::vector<float> x(33, NAN), high(33, INFINITY), low(33, -INFINITY);
    for (const auto kind : {Activation::Kind::relu, Activation::Kind::leaky_relu, Activation::Kind::elu,
                            Activation::Kind::gelu, Activation::Kind::gelu_tanh, Activation::Kind::silu,
                            Activation::Kind::sigmoid, Activation::Kind::tanh, Activation::Kind::hardswish}) {
      for (const float value : activated(kind, x)) CHECK(std::isnan(value));
    }
    CHECK(activated(Activation::Kind::tanh, high)[20] == 1.0f);
    CHECK(activated(Activation::Kind::tanh, low)[20] == -1.0f);
    CHECK(activated(Activation::Kind::sigmoid, high)[20] == 1.0f);
    CHECK(activated(Activation::Kind::sigmoid, low)[20] == 0.0f);
  }
}
