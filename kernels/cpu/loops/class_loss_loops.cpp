// Losses of class labels.
#include "kernels/cpu/loops/loss_loops.h"
#include "kernels/cpu/loops/rows.h"

namespace trainctl::cpu::TRAINCTL_ISA {

/// Targets of either width. One out of range reads as class -1, which makes the loss NaN rather than touch foreign
/// memory.
struct Labels {
  const std::int64_t* wide;
  const std::int32_t* narrow;
  long classes;
  __attribute__((always_inline)) static Labels of(const ClassLossJob& job, const Operands& operands) {
    return {job.wide_labels ? operands.in<std::int64_t>(1) : nullptr,
            job.wide_labels ? nullptr : operands.in<std::int32_t>(1), job.rows.extent};
  }
  __attribute__((always_inline)) long at(long row) const {
    const long label = wide ? wide[row] : narrow[row];
    return label >= 0 && label < classes ? label : -1;
  }
};

TRAINCTL_INLINE float weight_of(const float* weights, long label) {
  return label < 0 ? __builtin_nanf("") : weights ? weights[label] : 1.0f;
}

static double total_weight(const Labels& labels, const float* weights, long count) {
  if (!weights) {
    bool valid = true;
    for (long row = 0; row < count; ++row) valid &= labels.at(row) >= 0;
    return valid ? static_cast<double>(count) : __builtin_nan("");
  }
  double total = 0;
  for (long row = 0; row < count; ++row) total += weight_of(weights, labels.at(row));
  return total;
}

/// log sum_c exp(x_c) and sum_c w_c x_c of sixteen rows.
TRAINCTL_INLINE void reduce_tile(const Tile& x, long extent, const float* weights, float (&lse)[16],
                                 float (&weighted)[16]) {
  float top[16], sum[16] = {};
  for (int j = 0; j < 16; ++j) top[j] = x[0][j];
  for (long c = 1; c < extent; ++c) {
#pragma omp simd
    for (int j = 0; j < 16; ++j) top[j] = x[c][j] > top[j] ? x[c][j] : top[j];
  }
  for (int j = 0; j < 16; ++j) weighted[j] = 0;
  for (long c = 0; c < extent; ++c) {
    const float w = weights ? weights[c] : 1.0f;
#pragma omp simd
    for (int j = 0; j < 16; ++j) {
      sum[j] += exponential(x[c][j] - top[j]);
      weighted[j] += w * x[c][j];
    }
  }
  for (int j = 0; j < 16; ++j) lse[j] = top[j] + __builtin_logf(sum[j]);
}

/// The same of one long row.
TRAINCTL_INLINE void reduce_row(const float* x, long extent, long stride, const float* weights, float& lse,
                                float& weighted) {
  float top = x[0];
#pragma omp simd reduction(max : top)
  for (long c = 1; c < extent; ++c) top = x[c * stride] > top ? x[c * stride] : top;
  float sum = 0, dot = 0;
#pragma omp simd reduction(+ : sum, dot)
  for (long c = 0; c < extent; ++c) {
    sum += exponential(x[c * stride] - top);
    dot += (weights ? weights[c] : 1.0f) * x[c * stride];
  }
  lse = top + __builtin_logf(sum);
  weighted = dot;
}

static float sum_of(const float* weights, long classes) {
  if (!weights) return static_cast<float>(classes);
  double total = 0;
  for (long c = 0; c < classes; ++c) total += weights[c];
  return static_cast<float>(total);
}

void cross_entropy(const ClassLossJob& job, const Operands& operands) {
  const Rows rows = job.rows;
  const float* x = operands.in<float>(0);
  const Labels labels = Labels::of(job, operands);
  const float smoothing = *operands.in<float>(2);
  const float* weights = operands.in<float>(3);
  float* lse_out = operands.out<float>(1);
  double* partial = static_cast<double*>(operands.workspace);
  const long count = rows.outer * rows.inner, blocks = (count + loss_block - 1) / loss_block;
  const double all_weights = sum_of(weights, rows.extent);
  parallel_parts(job.threads, blocks, 1, 16384 / (rows.extent * loss_block), [=](long first_block, long last_block) {
    Tile tile;
    for (long block = first_block; block < last_block; ++block) {
      const long end = (block + 1) * loss_block < count ? (block + 1) * loss_block : count;
      double loss = 0, weight = 0;
      for (long first = block * loss_block; first < end; first += 16) {
        const RowStarts starts = row_starts(rows, first);
        const int width = end - first < 16 ? static_cast<int>(end - first) : 16;
        float lse[16], weighted[16];
        if (rows.extent <= tile_extent) {
          load_tile(rows, starts, x, tile);
          reduce_tile(tile, rows.extent, weights, lse, weighted);
        } else {
          for (int j = 0; j < width; ++j)
            reduce_row(x + starts.at[j], rows.extent, rows.inner, weights, lse[j], weighted[j]);
        }
        for (int j = 0; j < width; ++j) {
          const long label = labels.at(first + j);
          const float w = weight_of(weights, label);
          const float own = label < 0 ? 0.0f : x[starts.at[j] + label * rows.inner];
          lse_out[first + j] = lse[j];
          // sum_c w_c log p_c = sum_c w_c x_c - lse sum_c w_c
          loss += (1.0 - smoothing) * w * (static_cast<double>(lse[j]) - own);
          if (smoothing != 0)
            loss += static_cast<double>(smoothing) / rows.extent * (lse[j] * all_weights - weighted[j]);
          weight += w;
        }
      }
      partial[2 * block] = loss;
      partial[2 * block + 1] = weight;
    }
  });
  double loss = 0, weight = 0;
  for (long block = 0; block < blocks; ++block) {
    loss += partial[2 * block];
    weight += partial[2 * block + 1];
  }
  *operands.out<float>(0) = static_cast<float>(loss / weight);
}

// dlogits_c = dloss / W (p_c ((1-s) w_t + s/C sum w) - (1-s) w_t [c = t] - s/C w_c)
void cross_entropy_backward(const ClassLossJob& job, const Operands& operands) {
  const Rows rows = job.rows;
  const float* x = operands.in<float>(0);
  const Labels labels = Labels::of(job, operands);
  const float smoothing = *operands.in<float>(2);
  const float* weights = operands.in<float>(3);
  const float* lse = operands.in<float>(4);
  const float dloss = *operands.in<float>(5);
  float* dx = operands.out<float>(0);
  const long count = rows.outer * rows.inner;
  const float factor = static_cast<float>(dloss / total_weight(labels, weights, count));
  const float spread = smoothing / static_cast<float>(rows.extent);
  const float all_weights = spread * sum_of(weights, rows.extent);
  const auto row_scale = [=](long row) {
    return factor * ((1.0f - smoothing) * weight_of(weights, labels.at(row)) + all_weights);
  };
  const auto subtract_target = [=](long row, long start) {
    const long label = labels.at(row);
    if (label >= 0) dx[start + label * rows.inner] -= factor * (1.0f - smoothing) * weight_of(weights, label);
  };
  parallel_parts(job.threads, count, 16, 16384 / rows.extent, [=](long begin, long end) {
    Tile tile;
    for (long first = begin; first < end; first += 16) {
      const RowStarts starts = row_starts(rows, first);
      const int width = end - first < 16 ? static_cast<int>(end - first) : 16;
      if (rows.extent <= tile_extent) {
        float lse_of[16] = {}, scale[16] = {};
        for (int j = 0; j < width; ++j) {
          lse_of[j] = lse[first + j];
          scale[j] = row_scale(first + j);
        }
        load_tile(rows, starts, x, tile);
        for (long c = 0; c < rows.extent; ++c) {
          const float flat = factor * spread * (weights ? weights[c] : 1.0f);
#pragma omp simd
          for (int j = 0; j < 16; ++j) tile[c][j] = exponential(tile[c][j] - lse_of[j]) * scale[j] - flat;
        }
        store_tile(rows, starts, tile, width, dx);
      } else {
        for (int j = 0; j < width; ++j) {
          const float lse_of = lse[first + j], scale = row_scale(first + j);
          const long start = starts.at[j], stride = rows.inner;
#pragma omp simd
          for (long c = 0; c < rows.extent; ++c) {
            const float flat = factor * spread * (weights ? weights[c] : 1.0f);
            dx[start + c * stride] = exponential(x[start + c * stride] - lse_of) * scale - flat;
          }
        }
      }
      for (int j = 0; j < width; ++j) subtract_target(first + j, starts.at[j]);
    }
  });
}

void nll(const ClassLossJob& job, const Operands& operands) {
  const Rows rows = job.rows;
  const float* log_p = operands.in<float>(0);
  const Labels labels = Labels::of(job, operands);
  const float* weights = operands.in<float>(2);
  double loss = 0, weight = 0;
  for (long row = 0; row < rows.outer * rows.inner; ++row) {
    const long label = labels.at(row);
    const float w = weight_of(weights, label);
    loss -= static_cast<double>(w) * (label < 0 ? 0.0f : log_p[row_start(rows, row) + label * rows.inner]);
    weight += w;
  }
  *operands.out<float>(0) = static_cast<float>(loss / weight);
}

void nll_backward(const ClassLossJob& job, const Operands& operands) {
  const Rows rows = job.rows;
  const Labels labels = Labels::of(job, operands);
  const float* weights = operands.in<float>(2);
  float* dx = operands.out<float>(0);
  const long count = rows.outer * rows.inner;
  const float factor = static_cast<float>(*operands.in<float>(3) / total_weight(labels, weights, count));
  __builtin_memset(dx, 0, count * rows.extent * sizeof(float));
  for (long row = 0; row < count; ++row) {
    const long label = labels.at(row);
    if (label >= 0) dx[row_start(rows, row) + label * rows.inner] = -factor * weight_of(weights, label);
  }
}

}  // namespace trainctl::cpu::TRAINCTL_ISA
