// Convolutions of stride 1 on samples in blocks of 16 (layout "Abcd16a"): every vector is one pixel of one channel of
// 16 samples, so that no channel count is too small.
#pragma once

#include "kernels/cpu/dispatch.h"

namespace trainctl::cpu {

constexpr long samples_in_block = 16;

/// Channels and extents of one side of a convolution.
struct Plane {
  long channels, height, width;
};

/// Accumulators that a loop holds in registers: output channels (rows) x columns of the image, or x taps of the kernel.
struct Tile {
  long rows = 1, columns = 1;
};

/// y[n,o,i,j] = f(b[o] + sum_{c,r,s} x[n, c, i + r - top, j + s - left] w[o,c,r,s]); with `transposed`, w[c, o, KH-1-r,
/// KW-1-s] instead, which is the gradient of such a convolution with respect to its input.
struct CorrelationJob {
  long samples;
  Plane from, to;
  long kernel_height, kernel_width;
  long top, left;
  bool transposed;
  enum class Curve : int { none, relu, leaky_relu } curve;
  float slope;  ///< of leaky_relu below zero
  int threads;
  long strips;          ///< pieces that the rows of an image are cut into, to have work for all threads
  long scratch_floats;  ///< of a thread: the rows of one strip with zeros at both ends; 0 if nothing is padded. The
                        ///< workspace holds as many for each thread, after the weights
  Tile tile;            ///< by correlation_tile()
};

/// dw[o,c,r,s] = sum_{n,i,j} x[n, c, i + r - top, j + s - left] dy[n,o,i,j];  db[o] = sum_{n,i,j} dy[n,o,i,j].
struct WeightsGradientJob {
  long samples;
  Plane x, dy;
  long kernel_height, kernel_width;
  long top, left;
  int threads;
  long strips;          ///< pieces that the rows of an image are cut into, to have work for all threads
  long scratch_floats;  ///< of a thread: a block's x with zeros at both ends of rows; 0 if nothing is padded
  long partial_floats;  ///< of a thread: 16 lanes for each element of dw and db. The workspace holds both for each
                        ///< thread
  Tile tile;            ///< by weights_gradient_tile()
};

TRAINCTL_LOOPS(
    Tile correlation_tile(const CorrelationJob& job); Tile weights_gradient_tile(const WeightsGradientJob& job);
    /// `bias` may be null. Lanes beyond the last sample become zero.
    void correlate(const CorrelationJob& job, const float* x, const float* w, const float* bias, float* y,
                   float* workspace);
    /// Lanes of dy beyond the last sample must be zero; `db` may be null. Equal bits at an equal number of threads.
    void weights_gradient(const WeightsGradientJob& job, const float* x, const float* dy, float* dw, float* db,
                          float* workspace);)

}  // namespace trainctl::cpu
