#include "ops/noise.h"

#include <cmath>
#include <numbers>

#include "ops/support.h"

namespace trainctl {
namespace {

/// Normal random numbers
class RandomNormal final : public Op {
 public:
  std::string_view name() const override { return "random_normal"; }
  Types infer(const Attributes& attributes, InputTypes inputs) const override {
    expect_operands(name(), inputs, 1, 1);
    expect_scalar(name(), inputs[0], DType::i64);
    return {{DType::f32, as<NoiseAttributes>(attributes).shape}};
  }
  void reference(const Attributes& attributes, RefInputs inputs, RefOutputs outputs) const override {
    const std::uint64_t stream = as<NoiseAttributes>(attributes).stream;
    const auto step = static_cast<std::int64_t>((*inputs[0])[0]);
    RefTensor& y = outputs[0];
    for (std::int64_t i = 0; i < y.size(); ++i) {
      const UniformPair pair = noise_pair(stream, step, static_cast<std::uint64_t>(i / 2));
      const double radius = std::sqrt(-2.0 * std::log(1.0 - pair.u));
      const double angle = 2.0 * std::numbers::pi * pair.v;
      y[i] = radius * (i % 2 ? std::sin(angle) : std::cos(angle));
    }
  }
  Cost cost(const Attributes&, InputTypes inputs, std::span<const TensorType> outputs) const override {
    return cost_with_flops(8.0 * static_cast<double>(outputs[0].elements()), inputs, outputs);
  }
};

const RegisterOp<RandomNormal> random_normal;

}  // namespace
}  // namespace trainctl
