#include "ops/elementwise.h"

#include <algorithm>
#include <cmath>
#include <memory>

#include "ops/norm.h"
#include "ops/random.h"
#include "ops/support.h"

namespace trainctl {

std::string PowerAttributes::text() const {
  return fmt::format("{}", exponent);
}

namespace {

Activation activation_of(const Attributes& attributes) {
  const auto* add = dynamic_cast<const AddAttributes*>(&attributes);
  return add ? add->activation : Activation{};
}

double elements(std::span<const TensorType> types) {
  return static_cast<double>(types[0].elements());
}

/// y = f(a + b)
class Add final : public Op {
 public:
  std::string_view name() const override { return "add"; }
  Types infer(const Attributes&, InputTypes inputs) const override {
    expect_operands(name(), inputs, 2, 2);
    expect_same_type(name(), *inputs[0], *inputs[1]);
    return {*inputs[0]};
  }
  Values vjp(Builder&, const VjpArguments& arguments) const override {
    require(!activation_of(arguments.attributes), "gradients come before fusion: add must have no activation");
    return {arguments.cotangents[0], arguments.cotangents[0]};
  }
  void reference(const Attributes& attributes, RefInputs inputs, RefOutputs outputs) const override {
    const Activation f = activation_of(attributes);
    for (std::int64_t i = 0; i < outputs[0].size(); ++i) outputs[0][i] = activate(f, (*inputs[0])[i] + (*inputs[1])[i]);
  }
  Cost cost(const Attributes&, InputTypes inputs, std::span<const TensorType> outputs) const override {
    return cost_with_flops(elements(outputs), inputs, outputs);
  }
};

/// y = a b
class Multiply final : public Op {
 public:
  std::string_view name() const override { return "multiply"; }
  Types infer(const Attributes&, InputTypes inputs) const override {
    expect_operands(name(), inputs, 2, 2);
    expect_same_type(name(), *inputs[0], *inputs[1]);
    return {*inputs[0]};
  }
  Values vjp(Builder& builder, const VjpArguments& arguments) const override {
    const Value dy = arguments.cotangents[0];
    Values gradients(2);
    for (int k = 0; k < 2; ++k) {
      if (arguments.wanted[k]) gradients[k] = builder.apply1("multiply", nullptr, {dy, arguments.inputs[1 - k]});
    }
    return gradients;
  }
  void reference(const Attributes&, RefInputs inputs, RefOutputs outputs) const override {
    for (std::int64_t i = 0; i < outputs[0].size(); ++i) outputs[0][i] = (*inputs[0])[i] * (*inputs[1])[i];
  }
  Cost cost(const Attributes&, InputTypes inputs, std::span<const TensorType> outputs) const override {
    return cost_with_flops(elements(outputs), inputs, outputs);
  }
};

/// y = s x
class Scale final : public Op {
 public:
  std::string_view name() const override { return "scale"; }
  Types infer(const Attributes&, InputTypes inputs) const override {
    expect_operands(name(), inputs, 2, 2);
    expect_scalar(name(), inputs[1]);
    return {*inputs[0]};
  }
  Values vjp(Builder& builder, const VjpArguments& arguments) const override {
    const Value dy = arguments.cotangents[0];
    Values gradients(2);
    if (arguments.wanted[0]) gradients[0] = builder.apply1("scale", nullptr, {dy, arguments.inputs[1]});
    if (arguments.wanted[1]) gradients[1] = dot(builder, dy, arguments.inputs[0]);
    return gradients;
  }
  void reference(const Attributes&, RefInputs inputs, RefOutputs outputs) const override {
    for (std::int64_t i = 0; i < outputs[0].size(); ++i) outputs[0][i] = (*inputs[1])[0] * (*inputs[0])[i];
  }
  Cost cost(const Attributes&, InputTypes inputs, std::span<const TensorType> outputs) const override {
    return cost_with_flops(elements(outputs), inputs, outputs);
  }
};

/// y = gamma x + beta along axis 1
class ChannelAffine final : public Op {
 public:
  std::string_view name() const override { return "channel_affine"; }
  Types infer(const Attributes&, InputTypes inputs) const override {
    expect_operands(name(), inputs, 3, 3);
    const Shape& x = inputs[0]->shape;
    if (x.rank() < 2)
      fail(ErrorKind::config, "channel_affine: the input {} has no channel axis; it needs at least (batch, channels)",
           x.text());
    expect_channels(name(), "scale", inputs[1], x[1]);
    expect_channels(name(), "shift", inputs[2], x[1]);
    return {*inputs[0]};
  }
  Values vjp(Builder& builder, const VjpArguments& arguments) const override {
    const Value x = arguments.inputs[0], gamma = arguments.inputs[1], dy = arguments.cotangents[0];
    const Value zeros = builder.graph().constant(gamma.type(), {0.0});
    Values gradients(3);
    if (arguments.wanted[0]) gradients[0] = builder.apply1("channel_affine", nullptr, {dy, gamma, zeros});
    if (arguments.wanted[1] || arguments.wanted[2]) {
      // The channel sums of dy x and dy are what batch_norm_backward gives for mean 0 and deviation 1.
      auto attributes = std::make_shared<BatchNormAttributes>();
      attributes->eps = 0.0;
      const Value ones = builder.graph().constant(gamma.type(), {1.0});
      const Values sums = builder.apply("batch_norm_backward", attributes, {x, dy, zeros, ones, gamma});
      gradients[1] = sums[1];
      gradients[2] = sums[2];
    }
    return gradients;
  }
  void reference(const Attributes&, RefInputs inputs, RefOutputs outputs) const override {
    const RefTensor &x = *inputs[0], &gamma = *inputs[1], &beta = *inputs[2];
    const AxisView view(x.shape, 1);
    for (std::int64_t i = 0; i < x.size(); ++i) {
      const std::int64_t c = i / view.inner % view.extent;
      outputs[0][i] = gamma[c] * x[i] + beta[c];
    }
  }
  Cost cost(const Attributes&, InputTypes inputs, std::span<const TensorType> outputs) const override {
    return cost_with_flops(2.0 * elements(outputs), inputs, outputs);
  }
};

/// y = x^e where x > 0, else 0
class Power final : public Op {
 public:
  std::string_view name() const override { return "power"; }
  Types infer(const Attributes&, InputTypes inputs) const override {
    expect_operands(name(), inputs, 1, 1);
    return {*inputs[0]};
  }
  Values vjp(Builder& builder, const VjpArguments& arguments) const override {
    const double exponent = as<PowerAttributes>(arguments.attributes).exponent;
    const Value below =
        builder.apply1("power", std::make_shared<PowerAttributes>(exponent - 1.0), {arguments.inputs[0]});
    const Value dy = builder.apply1("scale", nullptr, {arguments.cotangents[0], builder.graph().constant(exponent)});
    return {builder.apply1("multiply", nullptr, {dy, below})};
  }
  void reference(const Attributes& attributes, RefInputs inputs, RefOutputs outputs) const override {
    const double exponent = as<PowerAttributes>(attributes).exponent;
    for (std::int64_t i = 0; i < outputs[0].size(); ++i) {
      const double x = (*inputs[0])[i];
      outputs[0][i] = x <= 0.0 ? 0.0 : std::pow(x, exponent);
    }
  }
  Cost cost(const Attributes&, InputTypes inputs, std::span<const TensorType> outputs) const override {
    return cost_with_flops(4.0 * elements(outputs), inputs, outputs);
  }
};

/// n + 1, of each
class Increment final : public Op {
 public:
  std::string_view name() const override { return "increment"; }
  Types infer(const Attributes&, InputTypes inputs) const override {
    expect_operands(name(), inputs, std::max<std::size_t>(inputs.size(), 1), inputs.size());
    for (const TensorType* input : inputs) expect_scalar(name(), input, DType::i64);
    return Types(inputs.size(), *inputs[0]);
  }
  void reference(const Attributes&, RefInputs inputs, RefOutputs outputs) const override {
    for (std::size_t k = 0; k < inputs.size(); ++k) outputs[k][0] = (*inputs[k])[0] + 1.0;
  }
};

/// 1 / s
class Reciprocal final : public Op {
 public:
  std::string_view name() const override { return "reciprocal"; }
  Types infer(const Attributes&, InputTypes inputs) const override {
    expect_operands(name(), inputs, 1, 1);
    expect_scalar(name(), inputs[0]);
    return {*inputs[0]};
  }
  void reference(const Attributes&, RefInputs inputs, RefOutputs outputs) const override {
    outputs[0][0] = 1.0 / (*inputs[0])[0];
  }
};

/// 1 if all operands are finite
class IsFinite final : public Op {
 public:
  std::string_view name() const override { return "is_finite"; }
  Types infer(const Attributes&, InputTypes inputs) const override {
    for (const TensorType* input : inputs)
      expect_scalar(name(), input, input && input->dtype == DType::f64 ? DType::f64 : DType::f32);
    return {{DType::i32, {}}};
  }
  void reference(const Attributes&, RefInputs inputs, RefOutputs outputs) const override {
    outputs[0][0] = std::ranges::all_of(inputs, [](const RefTensor* input) { return std::isfinite((*input)[0]); });
  }
};

/// All a or all b, as the flag says
class Select final : public Op {
 public:
  std::string_view name() const override { return "select"; }
  Types infer(const Attributes&, InputTypes inputs) const override {
    const std::size_t count = std::max<std::size_t>(inputs.size() / 2, 1);
    expect_operands(name(), inputs, 1 + 2 * count, 1 + 2 * count);
    expect_scalar(name(), inputs[0], DType::i32);
    Types outputs;
    for (std::size_t k = 1; k <= count; ++k) {
      expect_same_type(name(), *inputs[k], *inputs[count + k]);
      outputs.push_back(*inputs[k]);
    }
    return outputs;
  }
  void reference(const Attributes&, RefInputs inputs, RefOutputs outputs) const override {
    const std::size_t first = (*inputs[0])[0] != 0.0 ? 1 : 1 + outputs.size();
    for (std::size_t k = 0; k < outputs.size(); ++k) outputs[k].data = inputs[first + k]->data;
  }
};

/// y = min(max(x, -limit), limit); NaN stays NaN
class Clamp final : public Op {
 public:
  std::string_view name() const override { return "clamp"; }
  Types infer(const Attributes&, InputTypes inputs) const override {
    expect_operands(name(), inputs, 2, 2);
    expect_scalar(name(), inputs[1]);
    return {*inputs[0]};
  }
  void reference(const Attributes&, RefInputs inputs, RefOutputs outputs) const override {
    const double limit = (*inputs[1])[0];
    for (std::int64_t i = 0; i < outputs[0].size(); ++i) {
      const double x = (*inputs[0])[i];
      outputs[0][i] = x > limit ? limit : x < -limit ? -limit : x;
    }
  }
};

/// x in another floating type
class Cast final : public Op {
 public:
  std::string_view name() const override { return "cast"; }
  Types infer(const Attributes& attributes, InputTypes inputs) const override {
    expect_operands(name(), inputs, 1, 1);
    return {{as<CastAttributes>(attributes).to, inputs[0]->shape}};
  }
  Values vjp(Builder& builder, const VjpArguments& arguments) const override {
    const auto back = std::make_shared<CastAttributes>(arguments.inputs[0].type().dtype);
    return {builder.apply1("cast", back, {arguments.cotangents[0]})};
  }
  void reference(const Attributes&, RefInputs inputs, RefOutputs outputs) const override {
    outputs[0].data = inputs[0]->data;
  }
};

/// y = x m / (1 - p)
class Dropout final : public Op {
 public:
  std::string_view name() const override { return "dropout"; }
  Types infer(const Attributes&, InputTypes inputs) const override {
    expect_operands(name(), inputs, 3, 3);
    expect_scalar(name(), inputs[1]);
    expect_scalar(name(), inputs[2], DType::i64);
    return {*inputs[0]};
  }
  Values vjp(Builder& builder, const VjpArguments& arguments) const override {
    const auto attributes = std::make_shared<DropoutAttributes>(as<DropoutAttributes>(arguments.attributes));
    return {builder.apply1("dropout", attributes, {arguments.cotangents[0], arguments.inputs[1], arguments.inputs[2]}),
            {},
            {}};
  }
  void reference(const Attributes& attributes, RefInputs inputs, RefOutputs outputs) const override {
    const std::uint64_t stream = as<DropoutAttributes>(attributes).stream;
    const double p = (*inputs[1])[0];
    const auto step = static_cast<std::int64_t>((*inputs[2])[0]);
    for (std::int64_t i = 0; i < outputs[0].size(); ++i) {
      const bool kept = dropout_uniform(stream, step, static_cast<std::uint64_t>(i)) >= static_cast<float>(p);
      outputs[0][i] = kept ? (*inputs[0])[i] / (1.0 - p) : 0.0;
    }
  }
  Cost cost(const Attributes&, InputTypes inputs, std::span<const TensorType> outputs) const override {
    return cost_with_flops(elements(outputs), inputs, outputs);
  }
};

const RegisterOp<Add> add;
const RegisterOp<Multiply> multiply;
const RegisterOp<Scale> scale;
const RegisterOp<ChannelAffine> channel_affine;
const RegisterOp<Power> power;
const RegisterOp<Increment> increment;
const RegisterOp<Reciprocal> reciprocal;
const RegisterOp<IsFinite> is_finite;
const RegisterOp<Select> select;
const RegisterOp<Clamp> clamp;
const RegisterOp<Cast> cast;
const RegisterOp<Dropout> dropout;

}  // namespace
}  // namespace trainctl
