#pragma once

#include <cstdint>

#include "kernels/cpu/dispatch.h"

namespace trainctl::cpu {

/// One thing that happens to a plane of an image.
struct ImageStage {
  enum class Kind : int { divide, normalize, crop, flip, cutout };
  Kind kind;
  float divisor = 1;            ///< divide
  const float* mean = nullptr;  ///< normalize, one a channel
  const float* deviation = nullptr;
  long height = 0, width = 0;  ///< of what the stage gives
  long pad_height = 0, pad_width = 0;
  float fill = 0;
  float p = 0;  ///< flip
  bool horizontal = true;
  long size = 0;  ///< cutout
  std::uint64_t stream = 0;
};

constexpr int most_image_stages = 16;

/// Samples through all stages, plane by plane, while a plane is in the first-level cache.
struct ImageJob {
  long samples, channels, height, width;  ///< of the batch as it comes in
  const ImageStage* stages;
  int stage_count;
  /// Source of bytes: their values after conversion and what follows it, 256 a channel; these stages are not in the
  /// list. Null for f32.
  const float* table;
  bool gathers;      ///< inputs (data, order, position, step), else (data, step)
  long plane_limit;  ///< most elements that a plane ever has; the workspace holds 2 of that in floats for each thread
  int threads;
};

struct GatherJob {
  long samples;
  long row_bytes;
  int threads;
};

/// x / divisor as f32.
struct ConvertJob {
  long count;
  float divisor;
  const float* table;  ///< of the 256 bytes
  int threads;
};

TRAINCTL_LOOPS(void load_images(const ImageJob&, const Operands&);
               /// (data, order, position) -> rows
               void gather(const GatherJob&, const Operands&);
               /// (x) -> y
               void convert_bytes(const ConvertJob&, const Operands&);
               void convert_f32(const ConvertJob&, const Operands&);
               void convert_f64(const ConvertJob&, const Operands&);
               void convert_i32(const ConvertJob&, const Operands&);
               void convert_i64(const ConvertJob&, const Operands&);)

}  // namespace trainctl::cpu
