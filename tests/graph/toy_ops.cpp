// A few ops, so that the graph is tested without the real ones: sum (x) -> scalar, cube (x) -> x^3, add (a, b),
// split (x) -> x, -x (only the first has a gradient).

#include <memory>

#include "base/error.h"
#include "graph/builder.h"

namespace trainctl::test {
namespace {

using Types = std::vector<TensorType>;
using Inputs = std::span<const RefTensor* const>;
using Outputs = std::span<RefTensor>;

/// (dy scalar, x for its shape) -> dy everywhere
class Spread final : public Op {
 public:
  std::string_view name() const override { return "spread"; }
  Types infer(const Attributes&, InputTypes inputs) const override { return {*inputs[1]}; }
  void reference(const Attributes&, Inputs inputs, Outputs outputs) const override {
    for (double& value : outputs[0].data) value = (*inputs[0])[0];
  }
};

class Sum final : public Op {
 public:
  std::string_view name() const override { return "sum"; }
  Types infer(const Attributes&, InputTypes inputs) const override { return {{inputs[0]->dtype, {}}}; }
  Values vjp(Builder& builder, const VjpArguments& arguments) const override {
    return {builder.apply1("spread", nullptr, {arguments.cotangents[0], arguments.inputs[0]})};
  }
  void reference(const Attributes&, Inputs inputs, Outputs outputs) const override {
    for (const double value : inputs[0]->data) outputs[0][0] += value;
  }
};

/// (dy, x) -> 3 x^2 dy
class CubeBackward final : public Op {
 public:
  std::string_view name() const override { return "cube_backward"; }
  Types infer(const Attributes&, InputTypes inputs) const override { return {*inputs[1]}; }
  void reference(const Attributes&, Inputs inputs, Outputs outputs) const override {
    for (std::int64_t i = 0; i < outputs[0].size(); ++i)
      outputs[0][i] = 3.0 * (*inputs[1])[i] * (*inputs[1])[i] * (*inputs[0])[i];
  }
};

class Cube final : public Op {
 public:
  std::string_view name() const override { return "cube"; }
  Types infer(const Attributes&, InputTypes inputs) const override { return {*inputs[0]}; }
  Values vjp(Builder& builder, const VjpArguments& arguments) const override {
    return {builder.apply1("cube_backward", nullptr, {arguments.cotangents[0], arguments.inputs[0]})};
  }
  void reference(const Attributes&, Inputs inputs, Outputs outputs) const override {
    for (std::int64_t i = 0; i < outputs[0].size(); ++i)
      outputs[0][i] = (*inputs[0])[i] * (*inputs[0])[i] * (*inputs[0])[i];
  }
};

class Add final : public Op {
 public:
  std::string_view name() const override { return "add"; }
  Types infer(const Attributes&, InputTypes inputs) const override {
    if (*inputs[0] != *inputs[1])
      fail(ErrorKind::config, "add: {} and {} differ", inputs[0]->text(), inputs[1]->text());
    return {*inputs[0]};
  }
  Values vjp(Builder&, const VjpArguments& arguments) const override {
    return {arguments.cotangents[0], arguments.cotangents[0]};
  }
  void reference(const Attributes&, Inputs inputs, Outputs outputs) const override {
    for (std::int64_t i = 0; i < outputs[0].size(); ++i) outputs[0][i] = (*inputs[0])[i] + (*inputs[1])[i];
  }
};

class Split final : public Op {
 public:
  std::string_view name() const override { return "split"; }
  Types infer(const Attributes&, InputTypes inputs) const override { return {*inputs[0], *inputs[0]}; }
  Values vjp(Builder&, const VjpArguments& arguments) const override { return {arguments.cotangents[0]}; }
  void reference(const Attributes&, Inputs inputs, Outputs outputs) const override {
    for (std::int64_t i = 0; i < outputs[0].size(); ++i) {
      outputs[0][i] = (*inputs[0])[i];
      outputs[1][i] = -(*inputs[0])[i];
    }
  }
};

const RegisterOp<Spread> spread;
const RegisterOp<Sum> sum;
const RegisterOp<CubeBackward> cube_backward;
const RegisterOp<Cube> cube;
const RegisterOp<Add> add;
const RegisterOp<Split> split;

}  // namespace
}  // namespace trainctl::test
