// What happens to a batch before the model sees it: taken from the data set, converted, normalised, augmented.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "device/attributes.h"
#include "device/types.h"

namespace trainctl {

/// "gather": (data (M, ...), order i32 (M2), position i64 scalar) -> (batch, ...): row order[position + i] for each i.
struct GatherAttributes final : Attributes {
  std::int64_t batch = 1;
  explicit GatherAttributes(std::int64_t b) : batch(b) {}
  std::string text() const override { return "batch=" + std::to_string(batch); }
};

/// "convert": (x of any dtype) -> f32 x / divisor.
struct ConvertAttributes final : Attributes {
  double divisor = 1.0;
  explicit ConvertAttributes(double d) : divisor(d) {}
  std::string text() const override;
};

/// "normalize": (x f32 (N, C, ...)) -> (x - mean[c]) / deviation[c]; one entry holds for all channels.
struct NormalizeAttributes final : Attributes {
  std::vector<double> mean{0.0};
  std::vector<double> deviation{1.0};
  std::string text() const override;
};

// The random ones take (image f32 (N, C, H, W), step i64 scalar) and draw, for each sample of the batch, the words of
// Philox4x32-10 with key = stream and counter = {low32(step), high32(step), low32(sample), high32(sample)}
// (ops/random.h).

/// "random_crop": a window of (height, width) at a random place of the image padded by `padding` with `fill`. A place
/// is an integer in
///   [0, H + 2 padding - height], uniform, independently for each axis and sample: floor(word * range / 2^32), word 0
///   for the row and 1 for the column, range = the number of places.
struct RandomCropAttributes final : Attributes {
  std::int64_t height = 0;
  std::int64_t width = 0;
  std::int64_t padding_height = 0;
  std::int64_t padding_width = 0;
  double fill = 0.0;
  std::uint64_t stream = 0;
  std::string text() const override;
};

/// "random_flip": each image is mirrored with probability p, along its width (horizontal) or height: where (word 0 >>
/// 8) * 2^-24 < p
///   in float32.
struct RandomFlipAttributes final : Attributes {
  double p = 0.5;
  bool horizontal = true;
  std::uint64_t stream = 0;
  std::string text() const override;
};

/// "cutout": a square of `size` with its centre uniform in the image, cut off at the borders, becomes `fill` (DeVries &
/// Taylor, 2017).
///   The centre is (floor(word 0 * H / 2^32), floor(word 1 * W / 2^32)); the square covers [centre - size/2, centre -
///   size/2 + size) on both axes (size/2 rounded down).
struct CutoutAttributes final : Attributes {
  std::int64_t size = 8;
  double fill = 0.0;
  std::uint64_t stream = 0;
  std::string text() const override;
};

/// "load_images": (data u8 or f32 (M, C, H, W), order, position, step or left out) -> (batch, C, H', W'), f32 or bf16:
/// gather, then
///   `stages` in order, in one pass. Made by fusion of the ops above; each stage is one of their attributes under its
///   op's name.
///   `step` is left out where no stage is random. A stage's "sample" is the position in the batch.
struct LoadImagesAttributes final : Attributes {
  struct Stage {
    std::string op;
    AttributesPtr attributes;
  };
  std::int64_t batch = 1;
  std::vector<Stage> stages;
  DType dtype = DType::f32;  ///< of the result
  std::string text() const override;
};

}  // namespace trainctl
