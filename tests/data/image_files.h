// JPEG and PNG files for tests, made by the libraries that read them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace trainctl::testing {

/// Pixels (H, W, C) of a smooth picture that is told from its mirror images: a ramp in each channel.
std::vector<std::uint8_t> ramp(int height, int width, int channels, int phase = 0);

/// A JPEG file of grey (1), RGB (3) or CMYK (4) pixels.
std::string jpeg_file(int height, int width, int channels, const std::vector<std::uint8_t>& pixels,
                      bool progressive = false);

enum class PngKind { gray, rgb, gray_alpha, rgb_alpha, palette, gray16, rgb16, gray1 };
/// A PNG file; `pixels` has a byte a channel (palette and gray1: an index a pixel), 16-bit kinds repeat it.
std::string png_file(int height, int width, PngKind kind, const std::vector<std::uint8_t>& pixels,
                     bool interlaced = false);

}  // namespace trainctl::testing
