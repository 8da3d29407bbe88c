#include "data/image_files.h"

#include <cstdio>  // for jpeglib.h
// clang-format off
#include <jpeglib.h>
// clang-format on
#include <png.h>

#include <cstdlib>

namespace trainctl::testing {

std::vector<std::uint8_t> ramp(int height, int width, int channels, int phase) {
  std::vector<std::uint8_t> pixels;
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x)
      for (int c = 0; c < channels; ++c)
        pixels.push_back(static_cast<std::uint8_t>((phase + 10 + y * 100 / height + x * (50 + 25 * c) / width) & 255));
  return pixels;
}

std::string jpeg_file(int height, int width, int channels, const std::vector<std::uint8_t>& pixels, bool progressive) {
  jpeg_compress_struct info{};
  jpeg_error_mgr errors{};
  info.err = jpeg_std_error(&errors);
  jpeg_create_compress(&info);
  unsigned char* buffer = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&info, &buffer, &size);
  info.image_height = static_cast<JDIMENSION>(height);
  info.image_width = static_cast<JDIMENSION>(width);
  info.input_components = channels;
  info.in_color_space = channels == 1 ? JCS_GRAYSCALE : channels == 3 ? JCS_RGB : JCS_CMYK;
  jpeg_set_defaults(&info);
  jpeg_set_quality(&info, 98, TRUE);
  if (progressive) jpeg_simple_progression(&info);
  jpeg_start_compress(&info, TRUE);
  for (int y = 0; y < height; ++y) {
    auto* row = const_cast<JSAMPROW>(pixels.data() + static_cast<std::size_t>(y * width * channels));
    jpeg_write_scanlines(&info, &row, 1);
  }
  jpeg_finish_compress(&info);
  std::string file(reinterpret_cast<const char*>(buffer), size);
  jpeg_destroy_compress(&info);
  std::free(buffer);
  return file;
}

std::string png_file(int height, int width, PngKind kind, const std::vector<std::uint8_t>& pixels, bool interlaced) {
  const bool wide = kind == PngKind::gray16 || kind == PngKind::rgb16;
  int colour = PNG_COLOR_TYPE_GRAY, channels = 1;
  if (kind == PngKind::rgb || kind == PngKind::rgb16) colour = PNG_COLOR_TYPE_RGB, channels = 3;
  if (kind == PngKind::gray_alpha) colour = PNG_COLOR_TYPE_GRAY_ALPHA, channels = 2;
  if (kind == PngKind::rgb_alpha) colour = PNG_COLOR_TYPE_RGB_ALPHA, channels = 4;
  if (kind == PngKind::palette) colour = PNG_COLOR_TYPE_PALETTE;
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_infop info = png_create_info_struct(png);
  std::string file;
  png_set_write_fn(
      png, &file,
      [](png_structp p, png_bytep bytes, std::size_t count) {
        static_cast<std::string*>(png_get_io_ptr(p))->append(reinterpret_cast<char*>(bytes), count);
      },
      [](png_structp) {});
  png_set_IHDR(png, info, static_cast<png_uint_32>(width), static_cast<png_uint_32>(height),
               wide                     ? 16
               : kind == PngKind::gray1 ? 1
                                        : 8,
               colour, interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
               PNG_FILTER_TYPE_DEFAULT);
  if (kind == PngKind::palette) {
    png_color colours[3] = {{255, 0, 0}, {0, 128, 0}, {0, 0, 64}};
    png_set_PLTE(png, info, colours, 3);
  }
  png_write_info(png, info);
  if (kind == PngKind::gray1) png_set_packing(png);
  std::vector<std::uint8_t> bytes;
  for (const std::uint8_t value : pixels) bytes.insert(bytes.end(), wide ? 2 : 1, value);
  const auto stride = static_cast<std::size_t>(width * channels * (wide ? 2 : 1));
  std::vector<png_bytep> rows;
  for (int y = 0; y < height; ++y) rows.push_back(bytes.data() + static_cast<std::size_t>(y) * stride);
  png_write_image(png, rows.data());
  png_write_end(png, nullptr);
  png_destroy_write_struct(&png, &info);
  return file;
}

}  // namespace trainctl::testing
