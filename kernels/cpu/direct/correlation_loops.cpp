#include "kernels/cpu/direct/simd.h"

namespace trainctl::cpu::TRAINCTL_ISA {
namespace {

constexpr long block = samples_in_block;

/// Rows of the input of one block of samples, perhaps with zeros at both ends. `data` is where channel 0, row 0 and the
/// first (padded) column would be.
struct Rows {
  const float* data;
  long channel_stride, row_stride;
};

/// One tile: `O` output channels at `W` columns of one row.
struct TileArguments {
  const float* x;  ///< channel 0, first row and first column under the kernel
  long x_channel_stride, x_row_stride;
  const float* w;  ///< [c][r][s][O]
  long channels, kernel_height, kernel_width;
  long first_row, last_row, first_tap, last_tap;  ///< part of the kernel that does not lie in the padding
  const float* bias;                              ///< null or O numbers
  float* y;
  long y_channel_stride;
};

TRAINCTL_INLINE Vec activated(Vec v, CorrelationJob::Curve curve, float slope) {
  if (curve == CorrelationJob::Curve::relu) return v < 0.0f ? Vec{} : v;
  if (curve == CorrelationJob::Curve::leaky_relu) return v < 0.0f ? v * slope : v;
  return v;
}

template <int O, int W>
void tile(const TileArguments& a, CorrelationJob::Curve curve, float slope) {
  for (long lane = 0; lane < block; lane += lanes) {
    Vec sum[O][W];
    TRAINCTL_UNROLL
    for (int o = 0; o < O; ++o) {
      TRAINCTL_UNROLL
      for (int j = 0; j < W; ++j) sum[o][j] = spread(a.bias ? a.bias[o] : 0.0f);
    }
    for (long c = 0; c < a.channels; ++c) {
      for (long r = a.first_row; r < a.last_row; ++r) {
        const float* x = a.x + c * a.x_channel_stride + r * a.x_row_stride + a.first_tap * block + lane;
        const float* w = a.w + ((c * a.kernel_height + r) * a.kernel_width + a.first_tap) * O;
        for (long s = a.first_tap; s < a.last_tap; ++s, x += block, w += O) {
          Vec pixel[W];
          TRAINCTL_UNROLL
          for (int j = 0; j < W; ++j) pixel[j] = load(x + j * block);
          TRAINCTL_UNROLL
          for (int o = 0; o < O; ++o) {
            const Vec weight = spread(w[o]);
            TRAINCTL_UNROLL
            for (int j = 0; j < W; ++j) sum[o][j] += pixel[j] * weight;
          }
        }
      }
    }
    TRAINCTL_UNROLL
    for (int o = 0; o < O; ++o) {
      TRAINCTL_UNROLL
      for (int j = 0; j < W; ++j)
        store(a.y + o * a.y_channel_stride + j * block + lane, activated(sum[o][j], curve, slope));
    }
  }
}

using TileFunction = void (*)(const TileArguments&, CorrelationJob::Curve, float);

template <int O, int W = 1>
TileFunction tile_of_width(long width) {
  if constexpr (O * W > accumulators || W > most_tile) {
    return nullptr;
  } else {
    return width == W ? tile<O, W> : tile_of_width<O, W + 1>(width);
  }
}

template <int O = 1>
TileFunction tile_function(long channels, long width) {
  if constexpr (O > most_tile) {
    return nullptr;
  } else {
    return channels == O ? tile_of_width<O>(width) : tile_function<O + 1>(channels, width);
  }
}

/// Weights as tiles read them: [piece of output channels][c][r][s][channel in the piece].
void pack_weights(const CorrelationJob& job, const Pieces& pieces, const float* w, float* packed) {
  const long taps = job.kernel_height * job.kernel_width, in = job.from.channels, out = job.to.channels;
  for (long piece = 0; piece < pieces.pieces; ++piece) {
    const long first = pieces.begin(piece), size = pieces.size(piece);
    for (long c = 0; c < in; ++c) {
      for (long tap = 0; tap < taps; ++tap) {
        for (long o = first; o < first + size; ++o) {
          *packed++ = job.transposed ? w[(c * out + o) * taps + taps - 1 - tap] : w[(o * in + c) * taps + tap];
        }
      }
    }
  }
}

long clamp(long value, long low, long high) {
  return value < low ? low : value > high ? high : value;
}

/// Taps of a row of the kernel that meet more than padding at some of the columns [column, column + columns).
Range taps_at(const CorrelationJob& job, long column, long columns) {
  const long first = clamp(job.left - (column + columns - 1), 0, job.kernel_width);
  return {first, clamp(job.from.width + job.left - column, first, job.kernel_width)};
}

/// Copies rows [first, last) of all channels between columns of zeros: `left` on one side, up to `width` columns in
/// all.
Rows pad_rows(const Plane& plane, const float* x, long first, long last, long left, long width, float* scratch) {
  for (long c = 0; c < plane.channels; ++c) {
    for (long i = first; i < last; ++i) {
      const float* from = x + (c * plane.height + i) * plane.width * block;
      float* to = scratch + (c * (last - first) + i - first) * width * block;
      for (long j = 0; j < left * block; ++j) to[j] = 0.0f;
      for (long j = 0; j < plane.width * block; ++j) to[left * block + j] = from[j];
      for (long j = (left + plane.width) * block; j < width * block; ++j) to[j] = 0.0f;
    }
  }
  return {scratch - first * width * block, (last - first) * width * block, width * block};
}

/// Rows [first, last) of the result for one block of samples.
void correlate_strip(const CorrelationJob& job, const Pieces& down, const Pieces& across, const TileFunction* functions,
                     const float* x, const float* packed, const float* bias, float* y, float* scratch, long first,
                     long last) {
  const long padded_width = job.to.width + job.kernel_width - 1;
  Rows rows{x, job.from.height * job.from.width * block, job.from.width * block};
  if (job.scratch_floats) {
    const long begin = clamp(first - job.top, 0, job.from.height);
    const long end = clamp(last - 1 + job.kernel_height - job.top, begin, job.from.height);
    rows = pad_rows(job.from, x, begin, end, job.left, padded_width, scratch);
  }
  const long y_channel = job.to.height * job.to.width * block;
  for (long i = first; i < last; ++i) {
    TileArguments a{.x = nullptr,
                    .x_channel_stride = rows.channel_stride,
                    .x_row_stride = rows.row_stride,
                    .w = packed,
                    .channels = job.from.channels,
                    .kernel_height = job.kernel_height,
                    .kernel_width = job.kernel_width,
                    .first_row = clamp(job.top - i, 0, job.kernel_height),
                    .last_row = clamp(job.from.height + job.top - i, 0, job.kernel_height),
                    .first_tap = 0,
                    .last_tap = 0,
                    .bias = nullptr,
                    .y = nullptr,
                    .y_channel_stride = y_channel};
    for (long piece = 0; piece < down.pieces; ++piece) {
      const long channel = down.begin(piece), channels = down.size(piece);
      a.w = packed + channel * job.from.channels * job.kernel_height * job.kernel_width;
      a.bias = bias ? bias + channel : nullptr;
      for (long column_piece = 0; column_piece < across.pieces; ++column_piece) {
        const long column = across.begin(column_piece), columns = across.size(column_piece);
        a.x = rows.data + (i - job.top) * rows.row_stride + column * block;
        const Range taps = taps_at(job, column, columns);
        a.first_tap = taps.begin;
        a.last_tap = taps.end;
        a.y = y + channel * y_channel + (i * job.to.width + column) * block;
        functions[(channels - 1) * most_tile + columns - 1](a, job.curve, job.slope);
      }
    }
  }
}

void clear_lanes(const Plane& plane, long first_lane, float* y, long first, long last) {
  for (long c = 0; c < plane.channels; ++c) {
    for (long pixel = first * plane.width; pixel < last * plane.width; ++pixel) {
      for (long lane = first_lane; lane < block; ++lane)
        y[(c * plane.height * plane.width + pixel) * block + lane] = 0.0f;
    }
  }
}

}  // namespace

Tile correlation_tile(const CorrelationJob& job) {
  return best_tile(job.to.channels, job.to.width, [&](long column, long columns) {
    const Range taps = taps_at(job, column, columns);
    return taps.end - taps.begin;
  });
}

void correlate(const CorrelationJob& job, const float* x, const float* w, const float* bias, float* y,
               float* workspace) {
  const Pieces down = pieces_of(job.to.channels, job.tile.rows), across = pieces_of(job.to.width, job.tile.columns);
  TileFunction functions[most_tile * most_tile] = {};
  for (long i = 0; i < down.pieces; ++i) {
    for (long j = 0; j < across.pieces; ++j) {
      functions[(down.size(i) - 1) * most_tile + across.size(j) - 1] = tile_function(down.size(i), across.size(j));
    }
  }
  pack_weights(job, down, w, workspace);
  const long weights = job.from.channels * job.to.channels * job.kernel_height * job.kernel_width;
  float* scratch = workspace + (weights + block - 1) / block * block;

  const long blocks = (job.samples + block - 1) / block, tail = job.samples % block;
  const long tasks = blocks * job.strips;
#pragma omp parallel for num_threads(job.threads) schedule(static, 1) if (job.threads > 1)
  for (int thread = 0; thread < job.threads; ++thread) {
    const Range mine = part(tasks, 1, thread, job.threads);
    for (long task = mine.begin; task < mine.end; ++task) {
      const long image = task / job.strips, strip = task % job.strips;
      const long first = job.to.height * strip / job.strips, last = job.to.height * (strip + 1) / job.strips;
      const float* x_block = x + image * job.from.channels * job.from.height * job.from.width * block;
      float* y_block = y + image * job.to.channels * job.to.height * job.to.width * block;
      correlate_strip(job, down, across, functions, x_block, workspace, bias, y_block,
                      scratch + thread * job.scratch_floats, first, last);
      if (tail && image == blocks - 1) clear_lanes(job.to, tail, y_block, first, last);
    }
  }
}

}  // namespace trainctl::cpu::TRAINCTL_ISA
