// What the convolutions straight from their definition share: conv2d_direct.cu and conv2d_direct_weights.cu.
#pragma once

#include <limits>
#include <type_traits>

#include "kernels/cuda/conv2d_request.h"
#include "kernels/cuda/elements.cuh"

namespace trainctl::cuda::direct {

struct Strides {
  std::int64_t n;
  int c, h, w;
};

/// One plane of an image's positions or of taps.
struct Plane {
  int height, width;
};

/// A convolution; channels and filters are those of one group. A weight's offset is (filter of all * channels +
/// channel) * taps of the kernel + row * kernel.width + column.
struct Geometry {
  int batch, channels, filters;
  Plane in, out, kernel, stride, dilation;
  int top, left;
  Strides x, y;
};

/// One term of the sum that makes an element: where it is, from the element's own place.
struct Tap {
  int row, column;
  int offset;  // in elements
};

inline Strides strides(const Shape& shape, const Layout& layout) {
  const auto s = image_strides(shape, channels_last(layout));
  return {s[0], static_cast<int>(s[1]), static_cast<int>(s[2]), static_cast<int>(s[3])};
}

inline Geometry geometry(const KernelRequest& request, const Layout& x_layout, const Layout& y_layout) {
  const auto& conv = as<Conv2dAttributes>(*request.attributes);
  const Conv2dOperands o = conv2d_operands(request);
  const auto plane = [](std::int64_t height, std::int64_t width) {
    return Plane{static_cast<int>(height), static_cast<int>(width)};
  };
  return {.batch = static_cast<int>(o.x[0]),
          .channels = static_cast<int>(o.w[1]),
          .filters = static_cast<int>(o.w[0] / conv.groups),
          .in = plane(o.x[2], o.x[3]),
          .out = plane(o.y[2], o.y[3]),
          .kernel = plane(o.w[2], o.w[3]),
          .stride = plane(conv.stride[0], conv.stride[1]),
          .dilation = plane(conv.dilation[0], conv.dilation[1]),
          .top = static_cast<int>(conv.padding[0]),
          .left = static_cast<int>(conv.padding[1]),
          .x = strides(o.x, x_layout),
          .y = strides(o.y, y_layout)};
}

/// The largest of 1, 2, 4 ... `most` that divides `count`.
inline int tile_of(std::int64_t count, int most) {
  int tile = 1;
  while (tile < most && count % (2 * tile) == 0) tile *= 2;
  return tile;
}

template <typename Function>
void with_tile(int tile, Function function) {
  if (tile == 8) return function(std::integral_constant<int, 8>());
  if (tile == 4) return function(std::integral_constant<int, 4>());
  if (tile == 2) return function(std::integral_constant<int, 2>());
  function(std::integral_constant<int, 1>());
}

/// Whether what the kernels count in 32 bits fits, and their grids.
inline bool fits(const KernelRequest& request) {
  if (!conv2d_types_fit(request)) return false;
  const Conv2dOperands o = conv2d_operands(request);
  constexpr std::int64_t most = std::numeric_limits<std::int32_t>::max() - 1024;  // less than a block from the end
  constexpr std::int64_t most_tiles = 65535;                                      // of a grid's y and z
  const auto positions = [](const Shape& shape) { return shape[0] * shape[2] * shape[3]; };
  const auto sample = [](const Shape& shape) { return shape[1] * shape[2] * shape[3]; };
  return positions(o.x) <= most && positions(o.y) <= most && sample(o.x) <= most && sample(o.y) <= most &&
         o.w[0] * o.w[2] * o.w[3] <= most && sample(o.w) <= most && o.x[1] <= most_tiles && o.y[1] <= most_tiles;
}

/// The layout in which an image is taken or given.
inline Layout image_layout(const KernelRequest& request, int input) {
  const Layout layout = given_layout(request, input);
  return channels_last(layout) ? layout : Layout();
}

}  // namespace trainctl::cuda::direct
