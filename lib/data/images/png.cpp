#include <png.h>

#include <csetjmp>
#include <cstdio>
#include <cstring>

#include "base/error.h"
#include "data/images/image.h"

namespace trainctl {
namespace {

// As in jpeg.cpp: errors leave libpng by longjmp, past no object with a destructor.
struct Reader {
  std::span<const std::byte> file;
  Image& out;
  std::size_t at = 0;
  std::jmp_buf leave{};
  char message[200] = {};
  std::vector<png_bytep> rows{};
  png_structp png = nullptr;
  png_infop info = nullptr;

  static void on_error(png_structp png, png_const_charp text) {
    auto& reader = *static_cast<Reader*>(png_get_error_ptr(png));
    std::snprintf(reader.message, sizeof reader.message, "%s", text);
    std::longjmp(reader.leave, 1);
  }
  static void on_warning(png_structp, png_const_charp) {}
  static void on_read(png_structp png, png_bytep to, std::size_t count) {
    auto& reader = *static_cast<Reader*>(png_get_io_ptr(png));
    if (count > reader.file.size() - reader.at) png_error(png, "the file ends too soon");
    std::memcpy(to, reader.file.data() + reader.at, count);
    reader.at += count;
  }

  bool read(int channels);
  void convert(int channels);
};

// What the file holds becomes 8 bits a channel, grey or RGB.
void Reader::convert(int channels) {
  const int colour = png_get_color_type(png, info);
  if (png_get_bit_depth(png, info) == 16) png_set_scale_16(png);
  png_set_expand(png);
  png_set_strip_alpha(png);
  if (channels == 3 && !(colour & PNG_COLOR_MASK_COLOR)) png_set_gray_to_rgb(png);
  if (channels == 1 && (colour & PNG_COLOR_MASK_COLOR)) {
    png_set_rgb_to_gray_fixed(png, PNG_ERROR_ACTION_NONE, 29900, 58700);  // luma of ITU-R BT.601, as JPEG's
  }
  png_set_interlace_handling(png);
  png_read_update_info(png, info);
}

bool Reader::read(int channels) {
  if (setjmp(leave)) return false;
  png_set_read_fn(png, this, &on_read);
  png_set_user_limits(png, 1 << 24, 1 << 24);
  png_read_info(png, info);
  out.height = png_get_image_height(png, info);
  out.width = png_get_image_width(png, info);
  out.channels = channels;
  if (out.height * out.width > most_image_pixels) {
    std::snprintf(message, sizeof message, "%lld x %lld pixels are more than can be handled",
                  static_cast<long long>(out.width), static_cast<long long>(out.height));
    return false;
  }
  convert(channels);
  const auto stride = static_cast<std::size_t>(out.width * channels);
  if (png_get_rowbytes(png, info) != stride) png_error(png, "an unknown kind of pixels");
  out.pixels.resize(static_cast<std::size_t>(out.height) * stride);
  rows.resize(static_cast<std::size_t>(out.height));
  for (std::size_t y = 0; y < rows.size(); ++y) rows[y] = out.pixels.data() + y * stride;
  png_read_image(png, rows.data());
  png_read_end(png, nullptr);
  return true;
}

}  // namespace

void decode_png(std::span<const std::byte> file, const std::string& path, int channels, Image& out) {
  Reader reader{.file = file, .out = out};
  reader.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &reader, &Reader::on_error, &Reader::on_warning);
  reader.info = reader.png ? png_create_info_struct(reader.png) : nullptr;
  if (!reader.info) {
    png_destroy_read_struct(&reader.png, nullptr, nullptr);
    fail(ErrorKind::environment, "libpng cannot be used: out of memory, or of another version than it was built for");
  }
  bool whole = false;
  try {
    whole = reader.read(channels);
  } catch (...) {  // memory for the pixels
    png_destroy_read_struct(&reader.png, &reader.info, nullptr);
    throw;
  }
  png_destroy_read_struct(&reader.png, &reader.info, nullptr);
  if (!whole) fail(ErrorKind::data, "{}: damaged PNG at byte {}: {}", path, reader.at, reader.message);
}

}  // namespace trainctl
