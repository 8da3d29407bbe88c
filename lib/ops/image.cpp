#include "ops/image.h"

#include <algorithm>

#include "ops/random.h"
#include "ops/support.h"

namespace trainctl {

namespace {

std::string join(const std::vector<double>& values) {
  std::string text;
  for (const double value : values) text += fmt::format("{}{}", text.empty() ? "" : ",", value);
  return text;
}

}  // namespace

std::string ConvertAttributes::text() const {
  return fmt::format("divisor={}", divisor);
}

std::string NormalizeAttributes::text() const {
  return fmt::format("mean={} deviation={}", join(mean), join(deviation));
}

std::string RandomCropAttributes::text() const {
  return fmt::format("size={}x{} padding={}x{} fill={} stream={}", height, width, padding_height, padding_width, fill,
                     stream);
}

std::string RandomFlipAttributes::text() const {
  return fmt::format("p={} {} stream={}", p, horizontal ? "horizontal" : "vertical", stream);
}

std::string CutoutAttributes::text() const {
  return fmt::format("size={} fill={} stream={}", size, fill, stream);
}

std::string LoadImagesAttributes::text() const {
  std::string text = fmt::format("batch={}", batch);
  for (const Stage& stage : stages) text += fmt::format(" {}[{}]", stage.op, stage.attributes->text());
  if (dtype != DType::f32) text += fmt::format(" as {}", name(dtype));
  return text;
}

namespace {

/// Rows of the data in the order's order
class Gather final : public Op {
 public:
  std::string_view name() const override { return "gather"; }
  Types infer(const Attributes& attributes, InputTypes inputs) const override {
    expect_operands(name(), inputs, 3, 3);
    require(inputs[0]->shape.rank() >= 1 && inputs[1]->shape.rank() == 1 && inputs[1]->dtype == DType::i32,
            "gather takes data (M, ...) and an order of i32");
    expect_scalar(name(), inputs[2], DType::i64);
    TensorType y = *inputs[0];
    y.shape.set_dim(0, as<GatherAttributes>(attributes).batch);
    return {y};
  }
  void reference(const Attributes&, RefInputs inputs, RefOutputs outputs) const override {
    const RefTensor &data = *inputs[0], &order = *inputs[1];
    const auto position = static_cast<std::int64_t>((*inputs[2])[0]);
    const std::int64_t row = data.shape.slice(1).elements();
    for (std::int64_t i = 0; i < outputs[0].shape[0]; ++i) {
      require(position + i < order.size(), "gather reads beyond the order");
      const auto from = static_cast<std::int64_t>(order[position + i]);
      require(from >= 0 && from < data.shape[0], "gather reads beyond the data");
      std::copy_n(data.data.begin() + from * row, row, outputs[0].data.begin() + i * row);
    }
  }
  Cost cost(const Attributes&, InputTypes, std::span<const TensorType> outputs) const override {
    return {.flops = 0.0, .bytes = 2.0 * static_cast<double>(outputs[0].bytes())};
  }
};

/// x / divisor as f32
class Convert final : public Op {
 public:
  std::string_view name() const override { return "convert"; }
  Types infer(const Attributes&, InputTypes inputs) const override {
    expect_operands(name(), inputs, 1, 1);
    return {{DType::f32, inputs[0]->shape}};
  }
  void reference(const Attributes& attributes, RefInputs inputs, RefOutputs outputs) const override {
    const double divisor = as<ConvertAttributes>(attributes).divisor;
    for (std::int64_t i = 0; i < outputs[0].size(); ++i) outputs[0][i] = (*inputs[0])[i] / divisor;
  }
};

/// (x - mean[c]) / deviation[c]
class Normalize final : public Op {
 public:
  std::string_view name() const override { return "normalize"; }
  Types infer(const Attributes& attributes, InputTypes inputs) const override {
    expect_operands(name(), inputs, 1, 1);
    const auto& own = as<NormalizeAttributes>(attributes);
    const Shape& x = inputs[0]->shape;
    for (const auto* values : {&own.mean, &own.deviation}) {
      const auto count = static_cast<std::int64_t>(values->size());
      if (count == 1 || (x.rank() >= 2 && count == x[1])) continue;
      fail(ErrorKind::config,
           "normalize: mean and std need one number, or one for each channel of the input {}; {} are given", x.text(),
           count);
    }
    require(inputs[0]->dtype == DType::f32, "normalize takes f32");
    return {*inputs[0]};
  }
  void reference(const Attributes& attributes, RefInputs inputs, RefOutputs outputs) const override {
    const auto& own = as<NormalizeAttributes>(attributes);
    const RefTensor& x = *inputs[0];
    const auto of = [](const std::vector<double>& values, std::int64_t c) {
      return values.size() == 1 ? values[0] : values[c];
    };
    const std::int64_t channels = x.shape.rank() >= 2 ? x.shape[1] : 1;
    const std::int64_t inner = x.shape.rank() >= 2 ? x.shape.slice(2).elements() : 1;
    for (std::int64_t i = 0; i < x.size(); ++i) {
      const std::int64_t c = i / inner % channels;
      outputs[0][i] = (x[i] - of(own.mean, c)) / of(own.deviation, c);
    }
  }
};

void expect_images(std::string_view op, InputTypes inputs) {
  expect_operands(op, inputs, 2, 2);
  if (inputs[0]->shape.rank() != 4 || inputs[0]->dtype != DType::f32) {
    fail(ErrorKind::config, "{}: the input {} must be images (batch, channels, height, width)", op, inputs[0]->text());
  }
  expect_scalar(op, inputs[1], DType::i64);
}

std::int64_t step_of(RefInputs inputs) {
  return static_cast<std::int64_t>((*inputs[1])[0]);
}

/// y[n, c, i, j] = pick(n, i, j) applied to x's plane: an element, or the fill.
template <typename Pick>
void map_pixels(const RefTensor& x, RefTensor& y, Pick pick) {
  for (std::int64_t at = 0; at < y.size(); ++at) {
    const std::int64_t j = at % y.shape[3], i = at / y.shape[3] % y.shape[2], plane = at / (y.shape[3] * y.shape[2]);
    y[at] = pick(plane / y.shape[1], i, j, &x.data[plane * x.shape[2] * x.shape[3]]);
  }
}

class RandomCrop final : public Op {
 public:
  std::string_view name() const override { return "random_crop"; }
  Types infer(const Attributes& attributes, InputTypes inputs) const override {
    expect_images(name(), inputs);
    const auto& crop = as<RandomCropAttributes>(attributes);
    const Shape& x = inputs[0]->shape;
    const std::int64_t height = x[2] + 2 * crop.padding_height, width = x[3] + 2 * crop.padding_width;
    if (crop.height < 1 || crop.width < 1 || crop.height > height || crop.width > width) {
      fail(ErrorKind::config,
           "random_crop: a window of {}x{} does not fit the padded image {}x{}; use a smaller size or more padding",
           crop.height, crop.width, height, width);
    }
    return {{DType::f32, {x[0], x[1], crop.height, crop.width}}};
  }
  void reference(const Attributes& attributes, RefInputs inputs, RefOutputs outputs) const override {
    const auto& crop = as<RandomCropAttributes>(attributes);
    const RefTensor& x = *inputs[0];
    const std::int64_t step = step_of(inputs), height = x.shape[2], width = x.shape[3];
    map_pixels(x, outputs[0], [&](std::int64_t sample, std::int64_t i, std::int64_t j, const double* plane) {
      const RandomPlace place = random_place(crop.stream, step, static_cast<std::uint64_t>(sample),
                                             height + 2 * crop.padding_height - crop.height + 1,
                                             width + 2 * crop.padding_width - crop.width + 1);
      const std::int64_t row = place.row + i - crop.padding_height, column = place.column + j - crop.padding_width;
      return row < 0 || row >= height || column < 0 || column >= width ? crop.fill : plane[row * width + column];
    });
  }
};

class RandomFlip final : public Op {
 public:
  std::string_view name() const override { return "random_flip"; }
  Types infer(const Attributes&, InputTypes inputs) const override {
    expect_images(name(), inputs);
    return {*inputs[0]};
  }
  void reference(const Attributes& attributes, RefInputs inputs, RefOutputs outputs) const override {
    const auto& flip = as<RandomFlipAttributes>(attributes);
    const RefTensor& x = *inputs[0];
    const std::int64_t step = step_of(inputs), height = x.shape[2], width = x.shape[3];
    map_pixels(x, outputs[0], [&](std::int64_t sample, std::int64_t i, std::int64_t j, const double* plane) {
      const bool flips =
          random_flips(flip.stream, step, static_cast<std::uint64_t>(sample), static_cast<float>(flip.p));
      const std::int64_t row = flips && !flip.horizontal ? height - 1 - i : i,
                         column = flips && flip.horizontal ? width - 1 - j : j;
      return plane[row * width + column];
    });
  }
};

class Cutout final : public Op {
 public:
  std::string_view name() const override { return "cutout"; }
  Types infer(const Attributes&, InputTypes inputs) const override {
    expect_images(name(), inputs);
    return {*inputs[0]};
  }
  void reference(const Attributes& attributes, RefInputs inputs, RefOutputs outputs) const override {
    const auto& cutout = as<CutoutAttributes>(attributes);
    const RefTensor& x = *inputs[0];
    const std::int64_t step = step_of(inputs), height = x.shape[2], width = x.shape[3];
    map_pixels(x, outputs[0], [&](std::int64_t sample, std::int64_t i, std::int64_t j, const double* plane) {
      const RandomPlace centre = random_place(cutout.stream, step, static_cast<std::uint64_t>(sample), height, width);
      const std::int64_t top = centre.row - cutout.size / 2, left = centre.column - cutout.size / 2;
      const bool cut = i >= top && i < top + cutout.size && j >= left && j < left + cutout.size;
      return cut ? cutout.fill : plane[i * width + j];
    });
  }
};

/// gather and what follows it, in one pass
class LoadImages final : public Op {
 public:
  std::string_view name() const override { return "load_images"; }
  Types infer(const Attributes& attributes, InputTypes inputs) const override {
    expect_operands(name(), inputs, 3, 4);
    const auto& load = as<LoadImagesAttributes>(attributes);
    require(inputs[0]->shape.rank() == 4, "load_images takes images (M, C, H, W)");
    TensorType type = OpRegistry::instance().get("gather").infer(GatherAttributes(load.batch), inputs.first(3))[0];
    const TensorType* step = operand(inputs, 3);
    for (const auto& stage : load.stages) {
      const TensorType* operands[] = {&type, step};
      type = OpRegistry::instance().get(stage.op).infer(*stage.attributes,
                                                        InputTypes(operands, is_random(stage) ? 2 : 1))[0];
    }
    require(type.dtype == DType::f32 && (load.dtype == DType::f32 || load.dtype == DType::bf16),
            "load_images gives f32 or bf16: bytes need a convert stage");
    return {{load.dtype, type.shape}};
  }
  void reference(const Attributes& attributes, RefInputs inputs, RefOutputs outputs) const override {
    const auto& load = as<LoadImagesAttributes>(attributes);
    Shape shape = inputs[0]->shape;
    shape.set_dim(0, load.batch);
    RefTensor batch = run("gather", GatherAttributes(load.batch), inputs.first(3), shape);
    for (const auto& stage : load.stages) {
      if (const auto* crop = dynamic_cast<const RandomCropAttributes*>(stage.attributes.get())) {
        shape.set_dim(2, crop->height);
        shape.set_dim(3, crop->width);
      }
      const RefTensor* operands[] = {&batch, operand(inputs, 3)};
      batch = run(stage.op, *stage.attributes, RefInputs(operands, is_random(stage) ? 2 : 1), shape);
    }
    outputs[0].data = std::move(batch.data);
  }
  Cost cost(const Attributes& attributes, InputTypes inputs, std::span<const TensorType> outputs) const override {
    const double read =
        static_cast<double>(inputs[0]->bytes()) / static_cast<double>(std::max<std::int64_t>(1, inputs[0]->shape[0]));
    return {.flops = 0.0,
            .bytes = read * static_cast<double>(as<LoadImagesAttributes>(attributes).batch) +
                     static_cast<double>(outputs[0].bytes())};
  }

 private:
  static bool is_random(const LoadImagesAttributes::Stage& stage) {
    return stage.op != "convert" && stage.op != "normalize";
  }
  static RefTensor run(std::string_view op, const Attributes& attributes, RefInputs inputs, const Shape& shape) {
    RefTensor result(shape);
    OpRegistry::instance().get(op).reference(attributes, inputs, RefOutputs(&result, 1));
    return result;
  }
};

const RegisterOp<Gather> gather;
const RegisterOp<Convert> convert;
const RegisterOp<Normalize> normalize;
const RegisterOp<RandomCrop> random_crop;
const RegisterOp<RandomFlip> random_flip;
const RegisterOp<Cutout> cutout;
const RegisterOp<LoadImages> load_images;

}  // namespace
}  // namespace trainctl
