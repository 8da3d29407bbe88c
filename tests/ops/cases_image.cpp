#include "ops/image.h"

#include "ops/op_case.h"

namespace trainctl::test {
namespace {

Operand bytes(Shape shape) {
  return integers(DType::u8, shape, 0, 256);
}
Operand step(double value = 3) {
  return scalar(value, DType::i64);
}

RandomCropAttributes crop(std::int64_t height, std::int64_t width, std::int64_t padding_height,
                          std::int64_t padding_width, double fill) {
  RandomCropAttributes attributes;
  attributes.height = height;
  attributes.width = width;
  attributes.padding_height = padding_height;
  attributes.padding_width = padding_width;
  attributes.fill = fill;
  attributes.stream = 0xFEDCBA9876543210ull;
  return attributes;
}

RandomFlipAttributes flip(double p, bool horizontal) {
  RandomFlipAttributes attributes;
  attributes.p = p;
  attributes.horizontal = horizontal;
  attributes.stream = 77;
  return attributes;
}

CutoutAttributes cutout(std::int64_t size, double fill) {
  CutoutAttributes attributes;
  attributes.size = size;
  attributes.fill = fill;
  attributes.stream = 78;
  return attributes;
}

NormalizeAttributes normalize(std::vector<double> mean, std::vector<double> deviation) {
  NormalizeAttributes attributes;
  attributes.mean = std::move(mean);
  attributes.deviation = std::move(deviation);
  return attributes;
}

OpCase gather(std::string name, TensorType data, std::int64_t order, std::int64_t batch, double position) {
  return {
      "gather",
      std::move(name),
      shared(GatherAttributes(batch)),
      {{data, Domain::integers(0, 200)}, integers(DType::i32, {order}, 0, data.shape[0]), scalar(position, DType::i64)},
      Match::exact};
}

using Stages = std::vector<LoadImagesAttributes::Stage>;

OpCase load(std::string name, DType dtype, Shape data, std::int64_t batch, Stages stages, bool with_step,
            DType to = DType::f32) {
  LoadImagesAttributes attributes;
  attributes.dtype = to;
  attributes.batch = batch;
  attributes.stages = std::move(stages);
  const Domain domain = dtype == DType::u8 ? Domain::integers(0, 256) : Domain{};
  OpCase result{"load_images",
                std::move(name),
                shared(attributes),
                {{TensorType{dtype, data}, domain},
                 integers(DType::i32, {40}, 0, data[0]),
                 scalar(5, DType::i64),
                 with_step ? step() : left_out()},
                Match::close,
                2.0};
  result.fused = to == DType::bf16;  // the CPU has none
  return result;
}

LoadImagesAttributes::Stage convert() {
  return {"convert", shared(ConvertAttributes(255.0))};
}

Stages everything(bool color) {
  return {
      convert(),
      {"normalize", color ? shared(normalize({0.5, 0.4, 0.3}, {0.2, 0.3, 0.4})) : shared(normalize({0.286}, {0.353}))},
      {"random_crop", shared(crop(8, 9, 2, 2, 0.0))},
      {"random_flip", shared(flip(0.5, true))},
      {"cutout", shared(cutout(4, 0.5))}};
}

const RegisterCases cases({
    gather("labels", {DType::i64, {50}}, 40, 8, 3),
    gather("small labels", {DType::i32, {50}}, 40, 8, 3),
    gather("bytes", {DType::u8, {20, 1, 5, 7}}, 40, 16, 0),
    gather("floats", {DType::f32, {20, 13}}, 40, 7, 33),
    gather("batch of one", {DType::u8, {20, 3}}, 40, 1, 39),
    {"convert", "bytes", shared(ConvertAttributes(255.0)), {bytes({4, 1, 5, 7})}},
    {"convert", "floats", shared(ConvertAttributes(1.0)), {f32({37})}, Match::exact},
    {"convert", "integers", shared(ConvertAttributes(2.0)), {integers(DType::i64, {37}, -5, 100)}},
    {"convert", "i32", shared(ConvertAttributes(1.0)), {integers(DType::i32, {37}, -5, 100)}, Match::exact},
    {"convert", "large", shared(ConvertAttributes(255.0)), {bytes({33, 1030})}},
    {"normalize", "one for all", shared(normalize({0.286}, {0.353})), {f32({3, 2, 5, 7})}},
    {"normalize", "by channel", shared(normalize({0.5, 0.4, 0.3}, {0.2, 0.3, 0.4})), {f32({2, 3, 5, 7})}},
    {"normalize", "features", shared(normalize({0.5, 0.4, 0.3}, {0.2})), {f32({5, 3})}},
    {"random_crop", "padded", shared(crop(9, 8, 2, 2, 0.0)), {f32({6, 2, 9, 8}), step()}, Match::exact},
    {"random_crop", "smaller", shared(crop(5, 4, 0, 0, 0.0)), {f32({6, 1, 9, 8}), step()}, Match::exact},
    {"random_crop", "filled", shared(crop(9, 8, 4, 1, -0.5)), {f32({17, 3, 9, 8}), step(5e9)}, Match::exact},
    {"random_crop", "no choice", shared(crop(9, 8, 0, 0, 0.0)), {f32({2, 1, 9, 8}), step()}, Match::exact},
    {"random_flip", "horizontal", shared(flip(0.5, true)), {f32({17, 2, 5, 7}), step()}, Match::exact},
    {"random_flip", "vertical", shared(flip(0.3, false)), {f32({17, 2, 5, 7}), step()}, Match::exact},
    {"random_flip", "always", shared(flip(1.0, true)), {f32({3, 1, 5, 7}), step()}, Match::exact},
    {"random_flip", "never", shared(flip(0.0, true)), {f32({3, 1, 5, 7}), step()}, Match::exact},
    {"cutout", "even", shared(cutout(4, 0.0)), {f32({17, 2, 9, 8}), step()}, Match::exact},
    {"cutout", "odd", shared(cutout(5, 0.25)), {f32({17, 1, 9, 8}), step(5e9)}, Match::exact},
    {"cutout", "larger than the image", shared(cutout(40, 0.0)), {f32({2, 1, 9, 8}), step()}, Match::exact},
    load("bytes", DType::u8, {30, 1, 7, 5}, 16, {convert()}, false),
    load("normalized", DType::u8, {30, 3, 8, 9}, 17,
         {convert(), {"normalize", shared(normalize({0.5, 0.4, 0.3}, {0.2, 0.3, 0.4}))}}, false),
    load("everything, gray", DType::u8, {30, 1, 8, 9}, 16, everything(false), true),
    load("everything, color", DType::u8, {30, 3, 8, 9}, 17, everything(true), true),
    load(
        "fill before normalize", DType::u8, {30, 1, 8, 9}, 16,
        {convert(), {"random_crop", shared(crop(8, 9, 2, 2, 0.1))}, {"normalize", shared(normalize({0.286}, {0.353}))}},
        true),
    load("floats", DType::f32, {30, 2, 8, 9}, 8, {{"random_flip", shared(flip(0.5, true))}}, true),
    load("floats alone", DType::f32, {30, 2, 8, 9}, 8, {}, false),
    load("as bf16", DType::u8, {30, 3, 8, 9}, 17, everything(true), true, DType::bf16),
    load("floats alone, as bf16", DType::f32, {30, 2, 8, 9}, 8, {}, false, DType::bf16),
});

}  // namespace
}  // namespace trainctl::test
