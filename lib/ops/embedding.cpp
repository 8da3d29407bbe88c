#include "ops/embedding.h"

#include <cmath>
#include <memory>

#include "ops/support.h"

namespace trainctl {

std::string EmbeddingAttributes::text() const {
  return rows ? fmt::format("rows={}", rows) : "";
}

namespace {

void expect_indices(std::string_view op, const TensorType& index) {
  if (index.dtype != DType::i64 && index.dtype != DType::i32)
    fail(ErrorKind::config, "{}: its input must be whole numbers (i32 or i64), not {}", op, name(index.dtype));
  if (index.shape.rank() + 1 > Shape::max_rank)
    fail(ErrorKind::config, "{}: the input {} has too many axes", op, index.shape.text());
}

/// The row of place i, or -1 where there is none.
std::int64_t row_of(const RefTensor& index, std::int64_t i, std::int64_t rows) {
  const double row = index[i];
  return row >= 0 && row < static_cast<double>(rows) ? static_cast<std::int64_t>(row) : -1;
}

/// Rows of a table
class Embedding final : public Op {
 public:
  std::string_view name() const override { return "embedding"; }
  Types infer(const Attributes&, InputTypes inputs) const override {
    expect_operands(name(), inputs, 2, 2);
    expect_indices(name(), *inputs[0]);
    require(inputs[1]->shape.rank() == 2, "embedding: the table must have two axes");
    Shape y = inputs[0]->shape;
    y.push_back(inputs[1]->shape[1]);
    return {{DType::f32, y}};
  }
  Values vjp(Builder& builder, const VjpArguments& arguments) const override {
    auto attributes = std::make_shared<EmbeddingAttributes>();
    attributes->rows = arguments.inputs[1].dim(0);
    return {{}, builder.apply1("embedding_backward", attributes, {arguments.inputs[0], arguments.cotangents[0]})};
  }
  void reference(const Attributes&, RefInputs inputs, RefOutputs outputs) const override {
    const RefTensor &index = *inputs[0], &table = *inputs[1];
    const std::int64_t width = table.shape[1];
    for (std::int64_t i = 0; i < index.size(); ++i) {
      const std::int64_t row = row_of(index, i, table.shape[0]);
      for (std::int64_t k = 0; k < width; ++k) outputs[0][i * width + k] = row < 0 ? NAN : table[row * width + k];
    }
  }
  Cost cost(const Attributes&, InputTypes inputs, std::span<const TensorType> outputs) const override {
    return {.flops = 0.0, .bytes = static_cast<double>(2 * outputs[0].bytes() + inputs[0]->bytes())};
  }
};

/// Sums of dy by rows
class EmbeddingBackward final : public Op {
 public:
  std::string_view name() const override { return "embedding_backward"; }
  Types infer(const Attributes& attributes, InputTypes inputs) const override {
    expect_operands(name(), inputs, 2, 2);
    expect_indices(name(), *inputs[0]);
    const Shape& dy = inputs[1]->shape;
    require(dy.rank() == inputs[0]->shape.rank() + 1 && dy.slice(0, dy.rank() - 1) == inputs[0]->shape,
            "embedding_backward: dy does not fit");
    return {{DType::f32, {as<EmbeddingAttributes>(attributes).rows, dy[dy.rank() - 1]}}};
  }
  void reference(const Attributes&, RefInputs inputs, RefOutputs outputs) const override {
    const RefTensor& index = *inputs[0];
    const std::int64_t width = outputs[0].shape[1];
    for (std::int64_t i = 0; i < index.size(); ++i) {
      const std::int64_t row = row_of(index, i, outputs[0].shape[0]);
      if (row < 0) continue;
      for (std::int64_t k = 0; k < width; ++k) outputs[0][row * width + k] += (*inputs[1])[i * width + k];
    }
  }
  Cost cost(const Attributes&, InputTypes inputs, std::span<const TensorType> outputs) const override {
    return cost_with_flops(static_cast<double>(inputs[1]->elements()), inputs, outputs);
  }
};

const RegisterOp<Embedding> embedding;
const RegisterOp<EmbeddingBackward> embedding_backward;

}  // namespace
}  // namespace trainctl
