#include "kernels/cpu/direct/simd.h"

namespace trainctl::cpu::TRAINCTL_ISA {
namespace {

constexpr long block = samples_in_block;
constexpr long near_bytes = 40 << 10;  // what a strip of rows may take to stay in the first-level cache

/// Sums of `O` output channels and `T` taps of one row of the kernel, over some rows of the images.
struct TapArguments {
  const float* x;   ///< first row and first column under the first tap
  const float* dy;  ///< first channel, first row
  long x_row_stride, dy_row_stride, dy_channel_stride;
  long rows, columns;
  float* sums;  ///< [o][...][tap][lane]
  long sums_channel_stride;
};

template <int O, int T>
void taps(const TapArguments& a) {
  for (long lane = 0; lane < block; lane += lanes) {
    Vec sum[O][T];
    TRAINCTL_UNROLL
    for (int o = 0; o < O; ++o) {
      TRAINCTL_UNROLL
      for (int t = 0; t < T; ++t) sum[o][t] = load(a.sums + o * a.sums_channel_stride + t * block + lane);
    }
    for (long i = 0; i < a.rows; ++i) {
      const float* x = a.x + i * a.x_row_stride + lane;
      const float* dy = a.dy + i * a.dy_row_stride + lane;
      for (long j = 0; j < a.columns; ++j, x += block, dy += block) {
        Vec pixel[T];
        TRAINCTL_UNROLL
        for (int t = 0; t < T; ++t) pixel[t] = load(x + t * block);
        TRAINCTL_UNROLL
        for (int o = 0; o < O; ++o) {
          const Vec gradient = load(dy + o * a.dy_channel_stride);
          TRAINCTL_UNROLL
          for (int t = 0; t < T; ++t) sum[o][t] += pixel[t] * gradient;
        }
      }
    }
    TRAINCTL_UNROLL
    for (int o = 0; o < O; ++o) {
      TRAINCTL_UNROLL
      for (int t = 0; t < T; ++t) store(a.sums + o * a.sums_channel_stride + t * block + lane, sum[o][t]);
    }
  }
}

using TapFunction = void (*)(const TapArguments&);

template <int O, int T = 1>
TapFunction taps_of_count(long count) {
  if constexpr (O * T > accumulators || T > most_tile) {
    return nullptr;
  } else {
    return count == T ? taps<O, T> : taps_of_count<O, T + 1>(count);
  }
}

template <int O = 1>
TapFunction tap_function(long channels, long count) {
  if constexpr (O > most_tile) {
    return nullptr;
  } else {
    return channels == O ? taps_of_count<O>(count) : tap_function<O + 1>(channels, count);
  }
}

/// Work that all blocks of samples share.
struct Schedule {
  Pieces channels;  ///< of dy
  Pieces taps;      ///< of a row of the kernel
  TapFunction functions[most_tile * most_tile];
  long x_width;  ///< of a row, padding included
  long strip_rows;
};

Schedule schedule_of(const WeightsGradientJob& job) {
  Schedule schedule{pieces_of(job.dy.channels, job.tile.rows), pieces_of(job.kernel_width, job.tile.columns), {}, 0, 0};
  for (long i = 0; i < schedule.channels.pieces; ++i) {
    for (long j = 0; j < schedule.taps.pieces; ++j) {
      const long channels = schedule.channels.size(i), count = schedule.taps.size(j);
      schedule.functions[(channels - 1) * most_tile + count - 1] = tap_function(channels, count);
    }
  }
  schedule.x_width = job.scratch_floats ? job.dy.width + job.kernel_width - 1 : job.x.width;
  const long row_bytes = (schedule.x_width + job.tile.rows * job.dy.width) * block * static_cast<long>(sizeof(float));
  const long rows = near_bytes / row_bytes;
  schedule.strip_rows = rows < 1 ? 1 : rows > job.dy.height ? job.dy.height : rows;
  return schedule;
}

const float* pad_columns(const WeightsGradientJob& job, const float* x, long width, float* scratch) {
  for (long row = 0; row < job.x.channels * job.x.height; ++row) {
    const float* from = x + row * job.x.width * block;
    float* to = scratch + row * width * block;
    for (long j = 0; j < job.left * block; ++j) to[j] = 0.0f;
    for (long j = 0; j < job.x.width * block; ++j) to[job.left * block + j] = from[j];
    for (long j = (job.left + job.x.width) * block; j < width * block; ++j) to[j] = 0.0f;
  }
  return scratch;
}

/// Adds what rows [begin, end) of dy of one block of samples give to dw.
void add_weights(const WeightsGradientJob& job, const Schedule& schedule, const float* x, const float* dy, long begin,
                 long end, float* sums) {
  const long kernel_taps = job.kernel_height * job.kernel_width;
  for (long strip = begin; strip < end; strip += schedule.strip_rows) {
    const long strip_end = strip + schedule.strip_rows < end ? strip + schedule.strip_rows : end;
    for (long piece = 0; piece < schedule.channels.pieces; ++piece) {
      const long o = schedule.channels.begin(piece), channels = schedule.channels.size(piece);
      for (long c = 0; c < job.x.channels; ++c) {
        for (long r = 0; r < job.kernel_height; ++r) {
          // Rows of dy whose row of x under r is not padding.
          const long first = strip > job.top - r ? strip : job.top - r;
          const long last = strip_end < job.x.height + job.top - r ? strip_end : job.x.height + job.top - r;
          if (first >= last) continue;
          for (long tap_piece = 0; tap_piece < schedule.taps.pieces; ++tap_piece) {
            const long s = schedule.taps.begin(tap_piece), count = schedule.taps.size(tap_piece);
            schedule.functions[(channels - 1) * most_tile + count - 1](
                {.x = x + ((c * job.x.height + first + r - job.top) * schedule.x_width + s) * block,
                 .dy = dy + ((o * job.dy.height) + first) * job.dy.width * block,
                 .x_row_stride = schedule.x_width * block,
                 .dy_row_stride = job.dy.width * block,
                 .dy_channel_stride = job.dy.height * job.dy.width * block,
                 .rows = last - first,
                 .columns = job.dy.width,
                 .sums = sums + ((o * job.x.channels + c) * kernel_taps + r * job.kernel_width + s) * block,
                 .sums_channel_stride = job.x.channels * kernel_taps * block});
          }
        }
      }
    }
  }
}

void add_bias(const Plane& plane, const float* dy, long begin, long end, float* sums) {
  const long count = (end - begin) * plane.width;
  for (long o = 0; o < plane.channels; ++o) {
    const float* pixels = dy + (o * plane.height + begin) * plane.width * block;
    for (long lane = 0; lane < block; lane += lanes) {
      Vec sum[4] = {load(sums + o * block + lane)};
      long i = 0;
      for (; i + 4 <= count; i += 4) {
        TRAINCTL_UNROLL
        for (int k = 0; k < 4; ++k) sum[k] += load(pixels + (i + k) * block + lane);
      }
      for (; i < count; ++i) sum[0] += load(pixels + i * block + lane);
      store(sums + o * block + lane, (sum[0] + sum[1]) + (sum[2] + sum[3]));
    }
  }
}

/// The sum over threads and lanes, in a fixed order.
float total(const float* partial, long stride, int parts) {
  float lane_sums[block] = {};
  for (int part = 0; part < parts; ++part) {
    for (long lane = 0; lane < block; ++lane) lane_sums[lane] += partial[part * stride + lane];
  }
  for (long half = block / 2; half > 0; half /= 2) {
    for (long lane = 0; lane < half; ++lane) lane_sums[lane] += lane_sums[lane + half];
  }
  return lane_sums[0];
}

}  // namespace

Tile weights_gradient_tile(const WeightsGradientJob& job) {
  return best_tile(job.dy.channels, job.kernel_width, [](long, long) { return 1L; });
}

void weights_gradient(const WeightsGradientJob& job, const float* x, const float* dy, float* dw, float* db,
                      float* workspace) {
  const Schedule schedule = schedule_of(job);
  const long weights = job.x.channels * job.dy.channels * job.kernel_height * job.kernel_width;
  const long blocks = (job.samples + block - 1) / block;
  float* partials = workspace;
  float* scratches = workspace + job.threads * job.partial_floats;
  const int threads = job.threads;
#pragma omp parallel num_threads(threads) if (threads > 1)
  {
#pragma omp for schedule(static, 1)
    for (int thread = 0; thread < threads; ++thread) {
      float* sums = partials + thread * job.partial_floats;
      for (long i = 0; i < job.partial_floats; ++i) sums[i] = 0.0f;
      const Range mine = part(blocks * job.strips, 1, thread, threads);
      for (long task = mine.begin; task < mine.end; ++task) {
        const long image = task / job.strips, strip = task % job.strips;
        const long begin = job.dy.height * strip / job.strips, end = job.dy.height * (strip + 1) / job.strips;
        const float* x_block = x + image * job.x.channels * job.x.height * job.x.width * block;
        const float* dy_block = dy + image * job.dy.channels * job.dy.height * job.dy.width * block;
        if (job.scratch_floats)
          x_block = pad_columns(job, x_block, schedule.x_width, scratches + thread * job.scratch_floats);
        add_weights(job, schedule, x_block, dy_block, begin, end, sums);
        if (db) add_bias(job.dy, dy_block, begin, end, sums + weights * block);
      }
    }
#pragma omp for schedule(static)
    for (long i = 0; i < weights; ++i) dw[i] = total(partials + i * block, job.partial_floats, threads);
#pragma omp single
    for (long o = 0; db && o < job.dy.channels; ++o)
      db[o] = total(partials + (weights + o) * block, job.partial_floats, threads);
  }
}

}  // namespace trainctl::cpu::TRAINCTL_ISA
