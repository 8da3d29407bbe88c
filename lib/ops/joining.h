// Joining and cutting along an axis.
#pragma once

#include <cstdint>
#include <string>

#include "device/attributes.h"
#include "device/types.h"

namespace trainctl {

/// "concat": (x_1, x_2, ...) -> joined along `axis`; all other extents are equal.
struct ConcatAttributes final : Attributes {
  int axis = 1;
  explicit ConcatAttributes(int a) : axis(a) {}
  std::string text() const override { return "axis=" + std::to_string(axis); }
};

/// "slice": (x) -> x[begin:end] along `axis`.   "slice_backward": (dy) -> dx of `input_shape`, zero outside of [begin,
/// end).
struct SliceAttributes final : Attributes {
  int axis = 1;
  std::int64_t begin = 0;
  std::int64_t end = 0;
  Shape input_shape;
  std::string text() const override;
};

}  // namespace trainctl
