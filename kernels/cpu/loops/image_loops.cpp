#include "kernels/cpu/loops/image_loops.h"

#include "kernels/cpu/loops/simd.h"
#include "ops/random.h"

namespace trainctl::cpu::TRAINCTL_ISA {

/// What a random stage drew for a sample.
struct Draw {
  long row, column;
  bool flips;
};

TRAINCTL_FLATTEN static Draw draw_for(const ImageStage& stage, std::int64_t step, long sample, long height,
                                      long width) {
  const auto index = static_cast<std::uint64_t>(sample);
  switch (stage.kind) {
    case ImageStage::Kind::crop: {
      const RandomPlace place =
          random_place(stage.stream, step, index, height + 2 * stage.pad_height - stage.height + 1,
                       width + 2 * stage.pad_width - stage.width + 1);
      return {place.row - stage.pad_height, place.column - stage.pad_width, false};
    }
    case ImageStage::Kind::cutout: {
      const RandomPlace centre = random_place(stage.stream, step, index, height, width);
      return {centre.row - stage.size / 2, centre.column - stage.size / 2, false};
    }
    case ImageStage::Kind::flip:
      return {0, 0, random_flips(stage.stream, step, index, stage.p)};
    default:
      return {0, 0, false};
  }
}

TRAINCTL_INLINE long clipped(long value, long limit) {
  return value < 0 ? 0 : value > limit ? limit : value;
}

TRAINCTL_INLINE void fill_row(float* to, long count, float value) {
  for (long j = 0; j < count; ++j) to[j] = value;
}

/// The window of `from` (height x width) that begins at the draw, `fill` where it leaves the image.
static void crop_plane(const ImageStage& stage, const Draw& draw, const float* from, long height, long width,
                       float* to) {
  const long left = clipped(-draw.column, stage.width), right = clipped(width - draw.column, stage.width);
  for (long i = 0; i < stage.height; ++i, to += stage.width) {
    const long row = draw.row + i;
    if (row < 0 || row >= height || right <= left) {
      fill_row(to, stage.width, stage.fill);
      continue;
    }
    fill_row(to, left, stage.fill);
    __builtin_memcpy(to + left, from + row * width + draw.column + left, (right - left) * sizeof(float));
    fill_row(to + right, stage.width - right, stage.fill);
  }
}

static void flip_plane(bool horizontal, float* plane, long height, long width) {
  const long half = horizontal ? width / 2 : height / 2;
  if (horizontal) {
    for (long i = 0; i < height; ++i) {
      float* row = plane + i * width;
      for (long j = 0; j < half; ++j) {
        const float kept = row[j];
        row[j] = row[width - 1 - j];
        row[width - 1 - j] = kept;
      }
    }
    return;
  }
  for (long i = 0; i < half; ++i) {
    float* upper = plane + i * width;
    float* lower = plane + (height - 1 - i) * width;
#pragma omp simd
    for (long j = 0; j < width; ++j) {
      const float kept = upper[j];
      upper[j] = lower[j];
      lower[j] = kept;
    }
  }
}

static void cut_plane(const ImageStage& stage, const Draw& draw, float* plane, long height, long width) {
  const long top = clipped(draw.row, height), bottom = clipped(draw.row + stage.size, height);
  const long left = clipped(draw.column, width), right = clipped(draw.column + stage.size, width);
  for (long i = top; i < bottom; ++i) fill_row(plane + i * width + left, right - left, stage.fill);
}

/// Fills `to` with a plane of the data.
static void read_plane(const ImageJob& job, const Operands& operands, long row, long channel, float* to) {
  const long size = job.height * job.width, at = (row * job.channels + channel) * size;
  if (!job.table) {
    const float* from = operands.in<float>(0) + at;
    if (from != to) __builtin_memcpy(to, from, size * sizeof(float));
    return;
  }
  const std::uint8_t* from = operands.in<std::uint8_t>(0) + at;
  const float* table = job.table + channel * 256;
  for (long i = 0; i < size; ++i) to[i] = table[from[i]];
}

/// Planes move only in a crop: what follows the last one works on the output itself.
static void load_sample(const ImageJob& job, const Operands& operands, long row, const Draw* draws, int crops,
                        float* scratch, float* y, long out_size) {
  for (long channel = 0; channel < job.channels; ++channel, y += out_size) {
    long height = job.height, width = job.width;
    int crops_left = crops;
    float* plane = crops_left ? scratch : y;
    read_plane(job, operands, row, channel, plane);
    for (int s = 0; s < job.stage_count; ++s) {
      const ImageStage& stage = job.stages[s];
      const long size = height * width;
      switch (stage.kind) {
        case ImageStage::Kind::divide:
#pragma omp simd
          for (long i = 0; i < size; ++i) plane[i] /= stage.divisor;
          break;
        case ImageStage::Kind::normalize: {
          const float mean = stage.mean[channel], deviation = stage.deviation[channel];
#pragma omp simd
          for (long i = 0; i < size; ++i) plane[i] = (plane[i] - mean) / deviation;
          break;
        }
        case ImageStage::Kind::crop: {
          float* to = --crops_left == 0 ? y : plane == scratch ? scratch + job.plane_limit : scratch;
          crop_plane(stage, draws[s], plane, height, width, to);
          plane = to;
          height = stage.height;
          width = stage.width;
          break;
        }
        case ImageStage::Kind::flip:
          if (draws[s].flips) flip_plane(stage.horizontal, plane, height, width);
          break;
        case ImageStage::Kind::cutout:
          cut_plane(stage, draws[s], plane, height, width);
          break;
      }
    }
  }
}

void load_images(const ImageJob& job, const Operands& operands) {
  const std::int32_t* order = job.gathers ? operands.in<std::int32_t>(1) : nullptr;
  const std::int64_t position = job.gathers ? *operands.in<std::int64_t>(2) : 0;
  const std::int64_t* step_in = operands.in<std::int64_t>(job.gathers ? 3 : 1);
  const std::int64_t step = step_in ? *step_in : 0;
  int crops = 0;
  long out_height = job.height, out_width = job.width;
  for (int s = 0; s < job.stage_count; ++s) {
    if (job.stages[s].kind != ImageStage::Kind::crop) continue;
    ++crops;
    out_height = job.stages[s].height;
    out_width = job.stages[s].width;
  }
  const long out_size = out_height * out_width;
  const int threads = job.samples * job.channels * job.height * job.width > 16384 ? job.threads : 1;
  parallel_parts(threads, threads, 1, 1, [&](long first, long last) {
    for (long thread = first; thread < last; ++thread) {
      float* scratch = crops ? static_cast<float*>(operands.workspace) + thread * 2 * job.plane_limit : nullptr;
      const Range samples = part(job.samples, 1, static_cast<int>(thread), threads);
      for (long sample = samples.begin; sample < samples.end; ++sample) {
        Draw draws[most_image_stages];
        long height = job.height, width = job.width;
        for (int s = 0; s < job.stage_count; ++s) {
          draws[s] = draw_for(job.stages[s], step, sample, height, width);
          if (job.stages[s].kind == ImageStage::Kind::crop) height = job.stages[s].height, width = job.stages[s].width;
        }
        const long row = order ? order[position + sample] : sample;
        load_sample(job, operands, row, draws, crops, scratch,
                    operands.out<float>(0) + sample * job.channels * out_size, out_size);
      }
    }
  });
}

void gather(const GatherJob& job, const Operands& operands) {
  const char* data = operands.in<char>(0);
  const std::int32_t* order = operands.in<std::int32_t>(1) + *operands.in<std::int64_t>(2);
  char* rows = operands.out<char>(0);
  parallel_parts(job.threads, job.samples, 1, 65536 / (job.row_bytes + 1), [=, &job](long begin, long end) {
    for (long i = begin; i < end; ++i)
      __builtin_memcpy(rows + i * job.row_bytes, data + order[i] * job.row_bytes, job.row_bytes);
  });
}

void convert_bytes(const ConvertJob& job, const Operands& operands) {
  const std::uint8_t* x = operands.in<std::uint8_t>(0);
  float* y = operands.out<float>(0);
  parallel_parts(job.threads, job.count, 16, 16384, [=, &job](long begin, long end) {
    for (long i = begin; i < end; ++i) y[i] = job.table[x[i]];
  });
}

template <typename From, typename Wide>
TRAINCTL_INLINE void convert_from(const ConvertJob& job, const Operands& operands) {
  const From* x = operands.in<From>(0);
  float* y = operands.out<float>(0);
  const Wide divisor = job.divisor;
  parallel_parts(job.threads, job.count, 16, 16384, [=](long begin, long end) {
#pragma omp simd
    for (long i = begin; i < end; ++i) y[i] = static_cast<float>(static_cast<Wide>(x[i]) / divisor);
  });
}

void convert_f32(const ConvertJob& job, const Operands& operands) {
  convert_from<float, float>(job, operands);
}
void convert_f64(const ConvertJob& job, const Operands& operands) {
  convert_from<double, double>(job, operands);
}
void convert_i32(const ConvertJob& job, const Operands& operands) {
  convert_from<std::int32_t, double>(job, operands);
}
void convert_i64(const ConvertJob& job, const Operands& operands) {
  convert_from<std::int64_t, double>(job, operands);
}

}  // namespace trainctl::cpu::TRAINCTL_ISA
