// Scores of classes, row by row: what class losses and accuracies have in common.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>

#include "kernels/cuda/runtime.h"

namespace trainctl::cuda {

/// Scores (N, C, ...) as rows of C numbers, numbered like the targets (N, ...).
struct ClassRows {
  std::int64_t count = 0;  ///< N * inner positions
  int classes = 0;
  std::int64_t stride = 1;  ///< elements from one class to the next: 1, or the number of inner positions

  /// Where a row's first class is.
  __host__ __device__ std::int64_t start(std::int64_t row) const {
    return stride == 1 ? row * classes : row / stride * classes * stride + row % stride;
  }
};

/// Row-major, or channels-last where the scores lie so: classes are then side by side.
inline Layout class_layout(const KernelRequest& request) {
  const Layout channels_last("acdb");
  return request.inputs[0]->shape.rank() == 4 && given_layout(request, 0) == channels_last ? channels_last : Layout();
}

inline ClassRows class_rows(const TensorType& scores, const Layout& layout) {
  const std::int64_t inner = scores.shape.slice(2).elements();
  return {scores.shape[0] * inner, static_cast<int>(scores.shape[1]), layout.row_major() ? inner : 1};
}

/// Whether kernels over class rows take scores and targets of these types.
inline bool class_rows_fit(const KernelRequest& request) {
  const TensorType &scores = *request.inputs[0], &target = *request.inputs[1];
  return is_float(scores.dtype) && (target.dtype == DType::i64 || target.dtype == DType::i32) &&
         scores.shape[1] <= std::numeric_limits<int>::max();
}

/// Threads that share a row, a power of two: about half as many as there are classes where those are side by side; one
/// where neighbouring rows are, so that the accesses of neighbouring threads are too.
inline int threads_per_row(const ClassRows& rows, int most) {
  int threads = 1;
  while (rows.stride == 1 && threads < most && 2 * threads < rows.classes) threads *= 2;
  return threads;
}

/// The class that a row's target names; -1 if it is not the number of a class.
template <typename Label>
__device__ int label_at(const Label* target, std::int64_t row, int classes) {
  const std::int64_t label = target[row];
  return label >= 0 && label < classes ? static_cast<int>(label) : -1;
}

/// Calls function with a value of the C++ type of an i64 or i32 tensor.
template <typename Function>
auto with_label(DType dtype, Function function) {
  if (dtype == DType::i64) return function(std::int64_t());
  return function(std::int32_t());
}

}  // namespace trainctl::cuda
