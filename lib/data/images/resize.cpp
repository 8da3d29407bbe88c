#include "data/images/resize.h"

#include <algorithm>
#include <cmath>

namespace trainctl {
namespace {

/// Which pixels of an axis make a pixel of the new one, and with what weights.
struct Taps {
  std::int64_t first = 0;
  std::vector<float> weights;  // sum 1
};

std::vector<Taps> make_taps(std::int64_t from, std::int64_t to) {
  const double scale = static_cast<double>(from) / static_cast<double>(to);
  const double support = std::max(scale, 1.0);
  std::vector<Taps> taps(static_cast<std::size_t>(to));
  for (std::int64_t i = 0; i < to; ++i) {
    const double centre = (static_cast<double>(i) + 0.5) * scale;
    const auto first = std::max<std::int64_t>(0, static_cast<std::int64_t>(centre - support + 0.5));
    const auto last = std::min<std::int64_t>(from, static_cast<std::int64_t>(centre + support + 0.5));
    Taps& tap = taps[static_cast<std::size_t>(i)];
    tap.first = first;
    double sum = 0.0;
    for (std::int64_t k = first; k < last; ++k) {
      const double weight = std::max(0.0, 1.0 - std::abs(static_cast<double>(k) + 0.5 - centre) / support);
      tap.weights.push_back(static_cast<float>(weight));
      sum += weight;
    }
    for (float& weight : tap.weights) weight = static_cast<float>(weight / sum);
  }
  return taps;
}

}  // namespace

void resize(const Image& image, const ImageRegion& from, std::int64_t height, std::int64_t width, Image& out) {
  const auto channels = static_cast<std::size_t>(image.channels);
  const std::vector<Taps> across = make_taps(from.width, width);
  const std::vector<Taps> down = make_taps(from.height, height);
  // Rows first: each row of the region at the new width.
  const std::size_t row = static_cast<std::size_t>(width) * channels;
  std::vector<float> narrow(static_cast<std::size_t>(from.height) * row, 0.0F);
  for (std::int64_t y = 0; y < from.height; ++y) {
    const std::uint8_t* source =
        image.pixels.data() + static_cast<std::size_t>((from.top + y) * image.width + from.left) * channels;
    float* target = narrow.data() + static_cast<std::size_t>(y) * row;
    for (const Taps& tap : across) {
      const std::uint8_t* pixel = source + static_cast<std::size_t>(tap.first) * channels;
      for (const float weight : tap.weights) {
        for (std::size_t c = 0; c < channels; ++c) target[c] += weight * static_cast<float>(*pixel++);
      }
      target += channels;
    }
  }
  out.height = height;
  out.width = width;
  out.channels = image.channels;
  out.pixels.resize(static_cast<std::size_t>(height) * row);
  std::vector<float> sums(row);
  std::uint8_t* target = out.pixels.data();
  for (const Taps& tap : down) {
    std::ranges::fill(sums, 0.0F);
    const float* source = narrow.data() + static_cast<std::size_t>(tap.first) * row;
    for (const float weight : tap.weights) {
      for (std::size_t i = 0; i < row; ++i) sums[i] += weight * source[i];
      source += row;
    }
    for (const float sum : sums) *target++ = static_cast<std::uint8_t>(std::clamp(sum + 0.5F, 0.0F, 255.0F));
  }
}

}  // namespace trainctl
