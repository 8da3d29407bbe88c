#include "ops/softmax.h"

#include <algorithm>
#include <cmath>
#include <memory>

#include "ops/support.h"

namespace trainctl {
namespace {

int checked_axis(const Attributes& attributes, std::string_view op, const Shape& x) {
  const int axis = as<SoftmaxAttributes>(attributes).axis;
  const int found = axis < 0 ? axis + x.rank() : axis;
  if (found < 0 || found >= x.rank()) {
    fail(ErrorKind::config, "{}: there is no axis {} in the input {}, which has {} axes", op, axis, x.text(), x.rank());
  }
  return found;
}

/// Calls visit(first element, distance between elements, count) for each vector along the axis.
template <typename Visit>
void for_each_vector(const Shape& shape, const Attributes& attributes, Visit visit) {
  const AxisView view(shape, as<SoftmaxAttributes>(attributes).axis);
  for (std::int64_t o = 0; o < view.outer; ++o) {
    for (std::int64_t i = 0; i < view.inner; ++i) visit(o * view.extent * view.inner + i, view.inner, view.extent);
  }
}

/// y = softmax(x), or its logarithm
template <bool log>
class Softmax final : public Op {
 public:
  std::string_view name() const override { return log ? "log_softmax" : "softmax"; }
  Types infer(const Attributes& attributes, InputTypes inputs) const override {
    expect_operands(name(), inputs, 1, 1);
    checked_axis(attributes, name(), inputs[0]->shape);
    return {*inputs[0]};
  }
  Values vjp(Builder& builder, const VjpArguments& arguments) const override {
    const auto attributes = std::make_shared<SoftmaxAttributes>(as<SoftmaxAttributes>(arguments.attributes));
    return {builder.apply1(log ? "log_softmax_backward" : "softmax_backward", attributes,
                           {arguments.cotangents[0], arguments.outputs[0]})};
  }
  void reference(const Attributes& attributes, RefInputs inputs, RefOutputs outputs) const override {
    const RefTensor& x = *inputs[0];
    RefTensor& y = outputs[0];
    for_each_vector(x.shape, attributes, [&](std::int64_t first, std::int64_t stride, std::int64_t count) {
      double top = -HUGE_VAL, sum = 0.0;
      for (std::int64_t k = 0; k < count; ++k) top = std::max(top, x[first + k * stride]);
      for (std::int64_t k = 0; k < count; ++k) sum += std::exp(x[first + k * stride] - top);
      for (std::int64_t k = 0; k < count; ++k) {
        const double shifted = x[first + k * stride] - top;
        y[first + k * stride] = log ? shifted - std::log(sum) : std::exp(shifted) / sum;
      }
    });
  }
  Cost cost(const Attributes&, InputTypes inputs, std::span<const TensorType> outputs) const override {
    return cost_with_flops(5.0 * static_cast<double>(outputs[0].elements()), inputs, outputs);
  }
};

/// softmax: dx = y (dy - sum(dy y));  log_softmax: dx = dy - e^y sum(dy)
template <bool log>
class SoftmaxBackward final : public Op {
 public:
  std::string_view name() const override { return log ? "log_softmax_backward" : "softmax_backward"; }
  Types infer(const Attributes& attributes, InputTypes inputs) const override {
    expect_operands(name(), inputs, 2, 2);
    expect_same_type(name(), *inputs[0], *inputs[1]);
    checked_axis(attributes, name(), inputs[0]->shape);
    return {*inputs[0]};
  }
  void reference(const Attributes& attributes, RefInputs inputs, RefOutputs outputs) const override {
    const RefTensor &dy = *inputs[0], &y = *inputs[1];
    for_each_vector(dy.shape, attributes, [&](std::int64_t first, std::int64_t stride, std::int64_t count) {
      double sum = 0.0;
      for (std::int64_t k = 0; k < count; ++k) sum += dy[first + k * stride] * (log ? 1.0 : y[first + k * stride]);
      for (std::int64_t k = 0; k < count; ++k) {
        const std::int64_t i = first + k * stride;
        outputs[0][i] = log ? dy[i] - std::exp(y[i]) * sum : y[i] * (dy[i] - sum);
      }
    });
  }
  Cost cost(const Attributes&, InputTypes inputs, std::span<const TensorType> outputs) const override {
    return cost_with_flops(4.0 * static_cast<double>(outputs[0].elements()), inputs, outputs);
  }
};

const RegisterOp<Softmax<false>> softmax;
const RegisterOp<Softmax<true>> log_softmax;
const RegisterOp<SoftmaxBackward<false>> softmax_backward;
const RegisterOp<SoftmaxBackward<true>> log_softmax_backward;

}  // namespace
}  // namespace trainctl
