#include "ops/resample.h"

#include <memory>

#include "ops/support.h"

namespace trainctl {

std::string Resample2dAttributes::text() const {
  std::string text = fmt::format("{}x{} {}{}", output[0], output[1], bilinear ? "bilinear" : "nearest",
                                 align_corners ? " align_corners" : "");
  if (input_shape.rank()) text += " input=" + input_shape.text();
  return text;
}

namespace {

Shape output_shape(const Resample2dAttributes& attributes, std::string_view op, const Shape& x) {
  if (x.rank() != 4)
    fail(ErrorKind::config, "{}: the input {} must have four axes (batch, channels, height, width)", op, x.text());
  for (int a = 0; a < 2; ++a) {
    if (attributes.output[a] < 1 || x[2 + a] * attributes.output[a] >= std::int64_t{1} << 29)
      fail(ErrorKind::config, "{}: cannot make {} pixels of {}", op, attributes.output[a], x[2 + a]);
  }
  return {x[0], x[1], attributes.output[0], attributes.output[1]};
}

/// Calls visit(y index, x index, weight) for each tap of each output.
template <typename Visit>
void for_each_tap(const Resample2dAttributes& attributes, const Shape& x, Visit visit) {
  const ResampleAxis vertical = resample_axis(attributes, x, 0), horizontal = resample_axis(attributes, x, 1);
  const auto each = [](const ResampleAxis& axis, std::int64_t i, auto body) {
    const ResampleTaps taps = resample_taps(axis, static_cast<int>(i));
    const double share = static_cast<double>(taps.share) / taps.whole;
    body(taps.first, 1.0 - share);
    if (share > 0.0) body(taps.second, share);
  };
  std::int64_t at = 0;
  for (std::int64_t plane = 0; plane < x[0] * x[1]; ++plane) {
    for (std::int64_t i = 0; i < attributes.output[0]; ++i) {
      for (std::int64_t j = 0; j < attributes.output[1]; ++j, ++at) {
        each(vertical, i, [&](int row, double a) {
          each(horizontal, j, [&](int column, double b) { visit(at, (plane * x[2] + row) * x[3] + column, a * b); });
        });
      }
    }
  }
}

/// y from x
class Resample2d final : public Op {
 public:
  std::string_view name() const override { return "resample2d"; }
  Types infer(const Attributes& attributes, InputTypes inputs) const override {
    expect_operands(name(), inputs, 1, 1);
    return {{inputs[0]->dtype, output_shape(as<Resample2dAttributes>(attributes), name(), inputs[0]->shape)}};
  }
  Values vjp(Builder& builder, const VjpArguments& arguments) const override {
    auto attributes = std::make_shared<Resample2dAttributes>(as<Resample2dAttributes>(arguments.attributes));
    attributes->input_shape = arguments.inputs[0].shape();
    return {builder.apply1("resample2d_backward", attributes, {arguments.cotangents[0]})};
  }
  void reference(const Attributes& attributes, RefInputs inputs, RefOutputs outputs) const override {
    for_each_tap(as<Resample2dAttributes>(attributes), inputs[0]->shape,
                 [&](auto at, auto from, double weight) { outputs[0][at] += weight * (*inputs[0])[from]; });
  }
  Cost cost(const Attributes& attributes, InputTypes inputs, std::span<const TensorType> outputs) const override {
    const double taps = as<Resample2dAttributes>(attributes).bilinear ? 4.0 : 1.0;
    return cost_with_flops(2.0 * taps * static_cast<double>(outputs[0].elements()), inputs, outputs);
  }
};

/// dx from dy
class Resample2dBackward final : public Op {
 public:
  std::string_view name() const override { return "resample2d_backward"; }
  Types infer(const Attributes& attributes, InputTypes inputs) const override {
    expect_operands(name(), inputs, 1, 1);
    const auto& own = as<Resample2dAttributes>(attributes);
    require(output_shape(own, name(), own.input_shape) == inputs[0]->shape, "resample2d_backward: dy does not fit");
    return {{inputs[0]->dtype, own.input_shape}};
  }
  Values vjp(Builder& builder, const VjpArguments& arguments) const override {
    auto attributes = std::make_shared<Resample2dAttributes>(as<Resample2dAttributes>(arguments.attributes));
    attributes->input_shape = {};
    return {builder.apply1("resample2d", attributes, {arguments.cotangents[0]})};
  }
  void reference(const Attributes& attributes, RefInputs inputs, RefOutputs outputs) const override {
    const auto& own = as<Resample2dAttributes>(attributes);
    for_each_tap(own, own.input_shape,
                 [&](auto at, auto from, double weight) { outputs[0][from] += weight * (*inputs[0])[at]; });
  }
  Cost cost(const Attributes& attributes, InputTypes inputs, std::span<const TensorType> outputs) const override {
    const double taps = as<Resample2dAttributes>(attributes).bilinear ? 4.0 : 1.0;
    return cost_with_flops(2.0 * taps * static_cast<double>(inputs[0]->elements()), inputs, outputs);
  }
};

const RegisterOp<Resample2d> resample2d;
const RegisterOp<Resample2dBackward> resample2d_backward;

}  // namespace
}  // namespace trainctl
