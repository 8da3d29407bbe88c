#include "graph/builtin.h"

#include <algorithm>

#include "base/error.h"
#include "graph/builder.h"
#include "graph/op.h"

namespace trainctl {

std::string PackAttributes::text() const {
  std::string text = fmt::format("total={} offsets=", total);
  for (const std::int64_t offset : offsets) text += fmt::format("{},", offset);
  return text;
}

namespace {

/// y = x with another shape of as many elements.
class Reshape final : public Op {
 public:
  std::string_view name() const override { return "reshape"; }
  Storage storage() const override { return Storage::view; }
  std::vector<TensorType> infer(const Attributes& attributes, InputTypes inputs) const override {
    const Shape& shape = as<ReshapeAttributes>(attributes).shape;
    if (shape.elements() != inputs[0]->elements()) {
      fail(ErrorKind::config, "cannot reshape {} to {}: {} elements are not {}", inputs[0]->shape.text(), shape.text(),
           inputs[0]->elements(), shape.elements());
    }
    return {{inputs[0]->dtype, shape}};
  }
  Values vjp(Builder& builder, const VjpArguments& arguments) const override {
    return {builder.apply1("reshape", std::make_shared<ReshapeAttributes>(arguments.inputs[0].shape()),
                           {arguments.cotangents[0]})};
  }
  void reference(const Attributes&, std::span<const RefTensor* const> inputs,
                 std::span<RefTensor> outputs) const override {
    outputs[0].data = inputs[0]->data;
  }
  Cost cost(const Attributes&, InputTypes, std::span<const TensorType>) const override { return {}; }
};

/// y[offset_i + j] = x_i[j], zero elsewhere.
class Pack final : public Op {
 public:
  std::string_view name() const override { return "pack"; }
  Storage storage() const override { return Storage::pack; }
  std::vector<TensorType> infer(const Attributes& attributes, InputTypes inputs) const override {
    const auto& pack = as<PackAttributes>(attributes);
    require(pack.offsets.size() == inputs.size(), "pack needs an offset for each input");
    return {{inputs[0]->dtype, {pack.total}}};
  }
  void reference(const Attributes& attributes, std::span<const RefTensor* const> inputs,
                 std::span<RefTensor> outputs) const override {
    const auto& pack = as<PackAttributes>(attributes);
    for (std::size_t i = 0; i < inputs.size(); ++i)
      std::ranges::copy(inputs[i]->data, outputs[0].data.begin() + pack.offsets[i]);
  }
  Cost cost(const Attributes&, InputTypes, std::span<const TensorType>) const override { return {}; }
};

/// y = x in another layout.
class Reorder final : public Op {
 public:
  std::string_view name() const override { return "reorder"; }
  std::vector<TensorType> infer(const Attributes&, InputTypes inputs) const override { return {*inputs[0]}; }
  void reference(const Attributes&, std::span<const RefTensor* const> inputs,
                 std::span<RefTensor> outputs) const override {
    outputs[0].data = inputs[0]->data;
  }
};

const RegisterOp<Reshape> reshape;
const RegisterOp<Pack> pack;
const RegisterOp<Reorder> reorder;

}  // namespace
}  // namespace trainctl
