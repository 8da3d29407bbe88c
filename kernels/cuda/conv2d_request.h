// A convolution's operands, whichever of its three operations is asked for.
#pragma once

#include <array>
#include <cstdint>

#include "kernels/cuda/runtime.h"
#include "ops/conv2d.h"

namespace trainctl::cuda {

/// Shapes of the input x, the weights w and the output y, and the element type of x and y (or their gradients).
struct Conv2dOperands {
  Shape x, w, y;
  DType dtype;
};

inline Conv2dOperands conv2d_operands(const KernelRequest& request) {
  const Shape &first = request.inputs[0]->shape, &second = request.inputs[1]->shape;
  const Shape& output = request.outputs[0].shape;
  const DType dtype = request.inputs[0]->dtype;
  if (request.op == "conv2d") return {first, second, output, dtype};
  if (request.op == "conv2d_backward_data") return {output, second, first, dtype};
  return {first, output, second, dtype};
}

/// Whether all of x, y, their gradients, `sum` and `saved` are f32 or all bf16, and w, b and their gradients f32.
inline bool conv2d_types_fit(const KernelRequest& request) {
  const DType dtype = request.inputs[0]->dtype;
  const auto is = [&](std::size_t input, DType wanted) {
    return !request.has(input) || request.inputs[input]->dtype == wanted;
  };
  if (!is_float(dtype)) return false;
  if (request.op == "conv2d_backward_weights") {
    return is(1, dtype) && request.outputs[0].dtype == DType::f32 &&
           (request.outputs.size() < 2 || request.outputs[1].dtype == DType::f32);
  }
  const bool forward = request.op == "conv2d";
  return is(1, DType::f32) && is(2, forward ? DType::f32 : dtype) && is(3, dtype) && request.outputs[0].dtype == dtype;
}

/// Strides in elements of the axes (N, C, H, W) of a tensor that lies channels last or row-major.
inline std::array<std::int64_t, 4> image_strides(const Shape& shape, bool channels_last) {
  const std::int64_t c = shape[1], h = shape[2], w = shape[3];
  if (channels_last) return {c * h * w, 1, w * c, c};
  return {c * h * w, h * w, w, 1};
}

}  // namespace trainctl::cuda
