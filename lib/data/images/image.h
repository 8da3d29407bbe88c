// Pictures in memory, and the two formats that they come from.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace trainctl {

/// A picture of bytes, row by row, the channels of a pixel side by side (H, W, C).
struct Image {
  std::int64_t height = 0;
  std::int64_t width = 0;
  std::int64_t channels = 0;
  std::vector<std::uint8_t> pixels{};
};

/// Pictures of more pixels are refused before memory is taken for them.
constexpr std::int64_t most_image_pixels = std::int64_t{1} << 28;

/// Decodes JPEG files (ITU-T T.81, JFIF), baseline or progressive, by libjpeg. Keeps its tables from file to file; one
/// for each thread.
class JpegDecoder {
 public:
  JpegDecoder();
  ~JpegDecoder();
  JpegDecoder(const JpegDecoder&) = delete;
  JpegDecoder& operator=(const JpegDecoder&) = delete;

  /// Decodes `file` to grey (1 channel) or RGB (3). A picture of at least 4, 8 or 16 times `least_height` and
  /// `least_width` is halved once, twice or three times while decoding, which costs less than decoding it whole; 0:
  /// never. Throws a data Error "path: damaged JPEG at byte N: ..." for anything that libjpeg would only warn of and
  /// fill in.
  void decode(std::span<const std::byte> file, const std::string& path, int channels, std::int64_t least_height,
              std::int64_t least_width, Image& out);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Decodes a PNG file (ISO/IEC 15948) to grey (1 channel) or RGB (3) by libpng: 8 bits a channel, transparency left
/// out, no gamma applied. Throws a data Error "path: damaged PNG at byte N: ..."; checksums are checked.
void decode_png(std::span<const std::byte> file, const std::string& path, int channels, Image& out);

}  // namespace trainctl
