#include "ops/pool2d.h"

#include <algorithm>
#include <cmath>
#include <memory>

#include "ops/support.h"

namespace trainctl {

std::string Pool2dAttributes::text() const {
  if (is_adaptive()) {
    return fmt::format("bins={}x{}", bins[0], bins[1]) + (input_shape.rank() ? " input=" + input_shape.text() : "") +
           (activation ? " " + activation.text() : "");
  }
  std::string text = fmt::format("kernel={}x{} stride={}x{} padding={}x{}", kernel[0], kernel[1], stride[0], stride[1],
                                 padding[0], padding[1]);
  if (ceil_mode) text += " ceil";
  if (!count_include_pad) text += " exclude_pad";
  if (input_shape.rank()) text += " input=" + input_shape.text();
  if (activation) text += " " + activation.text();
  return text;
}

Pool2dAttributes Pool2dAttributes::adaptive(std::int64_t height, std::int64_t width,
                                            std::array<std::int64_t, 2> output) {
  const std::array<std::int64_t, 2> extent{height, width};
  Pool2dAttributes pool;
  if (height % output[0] == 0 && width % output[1] == 0) {
    pool.kernel = pool.stride = {height / output[0], width / output[1]};
    return pool;
  }
  pool.bins = output;
  pool.count_include_pad = false;
  pool.stride = {1, 1};
  for (int a = 0; a < 2; ++a) {
    pool.kernel[a] = 1;
    for (std::int64_t i = 0; i < output[a]; ++i) {
      const PoolBin bin = pool_bin(i, extent[a], output[a]);
      pool.kernel[a] = std::max(pool.kernel[a], bin.end - bin.begin);
    }
  }
  return pool;
}

namespace {

std::int64_t output_extent(const Pool2dAttributes& pool, std::string_view op, const Shape& x, int a) {
  if (pool.is_adaptive()) {
    if (x[2 + a] * pool.bins[a] >= std::int64_t{1} << 30)
      fail(ErrorKind::config, "{}: {} windows over {} pixels are too many", op, pool.bins[a], x[2 + a]);
    return pool.bins[a];
  }
  const std::int64_t padded = x[2 + a] + 2 * pool.padding[a];
  if (pool.kernel[a] > padded) {
    fail(ErrorKind::config,
         "{}: a {}x{} window does not fit the padded input {}x{}; use a smaller kernel_size or one pooling less", op,
         pool.kernel[0], pool.kernel[1], x[2] + 2 * pool.padding[0], x[3] + 2 * pool.padding[1]);
  }
  const std::int64_t room = padded - pool.kernel[a];
  if (!pool.ceil_mode) return room / pool.stride[a] + 1;
  const std::int64_t extent = (room + pool.stride[a] - 1) / pool.stride[a] + 1;
  const bool begins_in_padding = (extent - 1) * pool.stride[a] >= x[2 + a] + pool.padding[a];
  return begins_in_padding ? extent - 1 : extent;
}

Shape output_shape(const Pool2dAttributes& pool, std::string_view op, const Shape& x) {
  if (x.rank() != 4)
    fail(ErrorKind::config, "{}: the input {} must have four axes (batch, channels, height, width)", op, x.text());
  for (int a = 0; a < 2; ++a) {
    if (pool.padding[a] < 0 || 2 * pool.padding[a] > pool.kernel[a]) {
      fail(ErrorKind::config, "{}: padding {} must be at most half of the kernel size {}", op, pool.padding[a],
           pool.kernel[a]);
    }
  }
  return {x[0], x[1], output_extent(pool, op, x, 0), output_extent(pool, op, x, 1)};
}

DType index_type(const Pool2dAttributes& pool) {
  return pool.kernel[0] * pool.kernel[1] <= 256 ? DType::u8 : DType::i32;
}

/// The part of a window that lies in the image, and how many elements an average divides by.
struct Window {
  std::int64_t top, left;  ///< of the whole window; may be negative
  std::int64_t first_row, end_row, first_column, end_column;
  std::int64_t divisor;
};

Window window_at(const Pool2dAttributes& pool, const Shape& x, std::int64_t i, std::int64_t j) {
  Window w{};
  if (pool.is_adaptive()) {
    const PoolBin rows = pool_bin(i, x[2], pool.bins[0]), columns = pool_bin(j, x[3], pool.bins[1]);
    return {rows.begin,
            columns.begin,
            rows.begin,
            rows.end,
            columns.begin,
            columns.end,
            (rows.end - rows.begin) * (columns.end - columns.begin)};
  }
  w.top = i * pool.stride[0] - pool.padding[0];
  w.left = j * pool.stride[1] - pool.padding[1];
  w.first_row = std::max<std::int64_t>(w.top, 0);
  w.first_column = std::max<std::int64_t>(w.left, 0);
  w.end_row = std::min(w.top + pool.kernel[0], x[2]);
  w.end_column = std::min(w.left + pool.kernel[1], x[3]);
  if (pool.count_include_pad) {
    w.divisor = (std::min(w.top + pool.kernel[0], x[2] + pool.padding[0]) - w.top) *
                (std::min(w.left + pool.kernel[1], x[3] + pool.padding[1]) - w.left);
  } else {
    w.divisor = (w.end_row - w.first_row) * (w.end_column - w.first_column);
  }
  return w;
}

/// Calls visit(y index, plane offset in x, window) for each output.
template <typename Visit>
void for_each_window(const Pool2dAttributes& pool, const Shape& x, const Shape& y, Visit visit) {
  for (std::int64_t plane = 0; plane < y[0] * y[1]; ++plane) {
    for (std::int64_t i = 0; i < y[2]; ++i) {
      for (std::int64_t j = 0; j < y[3]; ++j) {
        visit((plane * y[2] + i) * y[3] + j, plane * x[2] * x[3], window_at(pool, x, i, j));
      }
    }
  }
}

AttributesPtr with_input_shape(const Attributes& attributes, const Shape& shape) {
  auto copy = std::make_shared<Pool2dAttributes>(as<Pool2dAttributes>(attributes));
  copy->input_shape = shape;
  return copy;
}

double window_elements(const Attributes& attributes) {
  const auto& pool = as<Pool2dAttributes>(attributes);
  return static_cast<double>(pool.kernel[0] * pool.kernel[1]);
}

/// Maximum and its position in each window
class MaxPool2d final : public Op {
 public:
  std::string_view name() const override { return "max_pool2d"; }
  Types infer(const Attributes& attributes, InputTypes inputs) const override {
    expect_operands(name(), inputs, 1, 1);
    const auto& pool = as<Pool2dAttributes>(attributes);
    const Shape y = output_shape(pool, name(), inputs[0]->shape);
    return {{inputs[0]->dtype, y}, {index_type(pool), y}};
  }
  Values vjp(Builder& builder, const VjpArguments& arguments) const override {
    const AttributesPtr attributes = with_input_shape(arguments.attributes, arguments.inputs[0].shape());
    return {builder.apply1("max_pool2d_backward", attributes, {arguments.cotangents[0], arguments.outputs[1]})};
  }
  void reference(const Attributes& attributes, RefInputs inputs, RefOutputs outputs) const override {
    const auto& pool = as<Pool2dAttributes>(attributes);
    const RefTensor& x = *inputs[0];
    for_each_window(pool, x.shape, outputs[0].shape, [&](std::int64_t at, std::int64_t plane, const Window& w) {
      bool any = false;
      double best = 0.0;
      for (std::int64_t r = w.first_row; r < w.end_row; ++r) {
        for (std::int64_t s = w.first_column; s < w.end_column; ++s) {
          const double value = x[plane + r * x.shape[3] + s];
          if (any && !(value > best) && !(std::isnan(value) && !std::isnan(best))) continue;
          any = true;
          best = value;
          outputs[1][at] = static_cast<double>((r - w.top) * pool.kernel[1] + s - w.left);
        }
      }
      outputs[0][at] = best;
    });
  }
  Cost cost(const Attributes& attributes, InputTypes inputs, std::span<const TensorType> outputs) const override {
    return cost_with_flops(static_cast<double>(outputs[0].elements()) * window_elements(attributes), inputs, outputs);
  }
};

/// dx gets dy where the maximum was
class MaxPool2dBackward final : public Op {
 public:
  std::string_view name() const override { return "max_pool2d_backward"; }
  Types infer(const Attributes& attributes, InputTypes inputs) const override {
    expect_operands(name(), inputs, 2, 3);
    const auto& pool = as<Pool2dAttributes>(attributes);
    require(output_shape(pool, name(), pool.input_shape) == inputs[0]->shape && inputs[1]->shape == inputs[0]->shape &&
                inputs[1]->dtype == index_type(pool),
            "max_pool2d_backward: dy or the index do not fit");
    const TensorType dx{inputs[0]->dtype, pool.input_shape};
    expect_saved(name(), static_cast<bool>(pool.activation), operand(inputs, 2), dx);
    return {dx};
  }
  void reference(const Attributes& attributes, RefInputs inputs, RefOutputs outputs) const override {
    const auto& pool = as<Pool2dAttributes>(attributes);
    const Shape& x = pool.input_shape;
    for_each_window(pool, x, inputs[0]->shape, [&](std::int64_t at, std::int64_t plane, const Window& w) {
      const auto position = static_cast<std::int64_t>((*inputs[1])[at]);
      const std::int64_t row = w.top + position / pool.kernel[1], column = w.left + position % pool.kernel[1];
      outputs[0][plane + row * x[3] + column] += (*inputs[0])[at];
    });
    apply_slope(pool.activation, operand(inputs, 2), outputs[0]);
  }
  Cost cost(const Attributes&, InputTypes inputs, std::span<const TensorType> outputs) const override {
    return cost_with_flops(static_cast<double>(inputs[0]->elements()), inputs, outputs);
  }
};

/// Mean of each window
class AvgPool2d final : public Op {
 public:
  std::string_view name() const override { return "avg_pool2d"; }
  Types infer(const Attributes& attributes, InputTypes inputs) const override {
    expect_operands(name(), inputs, 1, 1);
    return {{inputs[0]->dtype, output_shape(as<Pool2dAttributes>(attributes), name(), inputs[0]->shape)}};
  }
  Values vjp(Builder& builder, const VjpArguments& arguments) const override {
    const AttributesPtr attributes = with_input_shape(arguments.attributes, arguments.inputs[0].shape());
    return {builder.apply1("avg_pool2d_backward", attributes, {arguments.cotangents[0]})};
  }
  void reference(const Attributes& attributes, RefInputs inputs, RefOutputs outputs) const override {
    const RefTensor& x = *inputs[0];
    for_each_window(as<Pool2dAttributes>(attributes), x.shape, outputs[0].shape,
                    [&](std::int64_t at, std::int64_t plane, const Window& w) {
                      double sum = 0.0;
                      for (std::int64_t r = w.first_row; r < w.end_row; ++r) {
                        for (std::int64_t s = w.first_column; s < w.end_column; ++s)
                          sum += x[plane + r * x.shape[3] + s];
                      }
                      outputs[0][at] = sum / static_cast<double>(w.divisor);
                    });
  }
  Cost cost(const Attributes& attributes, InputTypes inputs, std::span<const TensorType> outputs) const override {
    return cost_with_flops(static_cast<double>(outputs[0].elements()) * window_elements(attributes), inputs, outputs);
  }
};

/// dx = dy spread over each window
class AvgPool2dBackward final : public Op {
 public:
  std::string_view name() const override { return "avg_pool2d_backward"; }
  Types infer(const Attributes& attributes, InputTypes inputs) const override {
    expect_operands(name(), inputs, 1, 1);
    const auto& pool = as<Pool2dAttributes>(attributes);
    require(output_shape(pool, name(), pool.input_shape) == inputs[0]->shape, "avg_pool2d_backward: dy does not fit");
    return {{inputs[0]->dtype, pool.input_shape}};
  }
  void reference(const Attributes& attributes, RefInputs inputs, RefOutputs outputs) const override {
    const auto& pool = as<Pool2dAttributes>(attributes);
    const Shape& x = pool.input_shape;
    for_each_window(pool, x, inputs[0]->shape, [&](std::int64_t at, std::int64_t plane, const Window& w) {
      const double share = (*inputs[0])[at] / static_cast<double>(w.divisor);
      for (std::int64_t r = w.first_row; r < w.end_row; ++r) {
        for (std::int64_t s = w.first_column; s < w.end_column; ++s) outputs[0][plane + r * x[3] + s] += share;
      }
    });
  }
  Cost cost(const Attributes& attributes, InputTypes inputs, std::span<const TensorType> outputs) const override {
    return cost_with_flops(static_cast<double>(inputs[0]->elements()) * window_elements(attributes), inputs, outputs);
  }
};

const RegisterOp<MaxPool2d> max_pool2d;
const RegisterOp<MaxPool2dBackward> max_pool2d_backward;
const RegisterOp<AvgPool2d> avg_pool2d;
const RegisterOp<AvgPool2dBackward> avg_pool2d_backward;

}  // namespace
}  // namespace trainctl
