// Image files to samples of one shape.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "data/images/image.h"
#include "device/types.h"
#include "schema/schema.h"

namespace trainctl {

enum class ImageColor { rgb, gray };
template <>
struct EnumNames<ImageColor> {
  static constexpr EnumName<ImageColor> names[] = {{ImageColor::rgb, "rgb"}, {ImageColor::gray, "gray"}};
};

enum class ImageFit { stretch, crop };
template <>
struct EnumNames<ImageFit> {
  static constexpr EnumName<ImageFit> names[] = {{ImageFit::stretch, "stretch"}, {ImageFit::crop, "crop"}};
};

/// `decode:` of a data set of pictures: what a file becomes before it is a sample.
struct ImageDecoding {
  std::optional<Pair<std::int64_t>> size;  ///< height and width
  ImageColor color = ImageColor::rgb;
  ImageFit fit = ImageFit::stretch;
  bool exact = false;  ///< not part of a spec: a picture of another size is an error

  static Schema<ImageDecoding> schema();
  int channels() const { return color == ImageColor::rgb ? 3 : 1; }
};

/// Decodes picture after picture; one for each thread.
class ImageDecoder {
 public:
  /// Reads a JPEG or PNG file (told by its first bytes) and fits it to `how.size`, if there is one. The result is valid
  /// until the next call. Throws a data Error that names the file.
  const Image& decode(const std::filesystem::path& path, const ImageDecoding& how);

 private:
  JpegDecoder jpeg_;
  std::vector<std::byte> file_;
  Image decoded_;
  Image resized_;
};

/// Decodes one file to a sample (C, H, W) of bytes at `out`, of the size `how.size`, which is set. Each thread that
/// calls it keeps a decoder. Throws a data Error that names the file.
void decode_file(const std::filesystem::path& file, const ImageDecoding& how, std::byte* out);

/// A file that could not be decoded: its number, and what was wrong with it.
struct DamagedImage {
  std::size_t index = 0;
  std::string what;
};

/// Decodes files to consecutive samples (C, H, W) of bytes at `out`, in `threads` threads (0: one for each core). All
/// must have the size `how.size`, which is set. Where files are damaged, they are listed in `damaged` by number, their
/// samples undefined; without `damaged` the Error of the first of them, by number, is thrown. A requested stop ends it
/// with an interrupted Error.
void decode_files(const std::vector<std::filesystem::path>& files, const ImageDecoding& how, int threads,
                  std::byte* out, std::vector<DamagedImage>* damaged);

}  // namespace trainctl
