// Pictures brought to another size.
#pragma once

#include "data/images/image.h"

namespace trainctl {

/// A part of a picture, in pixels.
struct ImageRegion {
  std::int64_t top = 0;
  std::int64_t left = 0;
  std::int64_t height = 0;
  std::int64_t width = 0;
};

/// The region `from` of a picture at `height` by `width` pixels, by a triangle filter as wide as a pixel of the coarser
/// of the two grids: bilinear interpolation when enlarging, an average without aliasing when reducing (what Pillow and
/// torchvision call bilinear with antialias).
///   y[i] = sum_k w_k x[k],  w_k ~ max(0, 1 - |k + 1/2 - (i + 1/2) s| / max(s, 1)),  s = extent of x / extent of y
void resize(const Image& image, const ImageRegion& from, std::int64_t height, std::int64_t width, Image& out);

}  // namespace trainctl
