// Decoding and resizing of pictures.
#include <cmath>
#include <cstdlib>
#include <thread>

#include "data/data_files.h"
#include "data/image_files.h"
#include "data/images/decode.h"
#include "data/images/resize.h"

using namespace trainctl;
using namespace trainctl::testing;

namespace {

using Pixels = std::vector<std::uint8_t>;

Image decoded(const TempFolder& folder, const std::string& file, const ImageDecoding& how = {}) {
  ImageDecoder decoder;
  return decoder.decode(folder.write("picture", file), how);
}

int largest_difference(const Pixels& a, const Pixels& b) {
  REQUIRE(a.size() == b.size());
  int most = 0;
  for (std::size_t i = 0; i < a.size(); ++i) most = std::max(most, std::abs(int{a[i]} - int{b[i]}));
  return most;
}

const ImageDecoding grey_kind{.size = {}, .color = ImageColor::gray};

ImageDecoding sized(std::int64_t height, std::int64_t width, ImageFit fit = ImageFit::stretch) {
  return {.size = Pair<std::int64_t>{height, width}, .fit = fit};
}

}  // namespace

TEST_CASE("jpeg: grey and colour, baseline and progressive, to the pixels that were encoded") {
  const TempFolder folder;
  for (const bool progressive : {false, true}) {
    const Pixels colour = ramp(17, 23, 3);
    const Image image = decoded(folder, jpeg_file(17, 23, 3, colour, progressive));
    CHECK(image.height == 17);
    CHECK(image.width == 23);
    CHECK(largest_difference(image.pixels, colour) <= 6);
  }
  const Pixels grey = ramp(9, 30, 1);
  const Image as_grey = decoded(folder, jpeg_file(9, 30, 1, grey), grey_kind);
  CHECK(largest_difference(as_grey.pixels, grey) <= 2);
  const Image as_colour = decoded(folder, jpeg_file(9, 30, 1, grey));
  REQUIRE(as_colour.pixels.size() == 3 * grey.size());
  CHECK(as_colour.pixels[30] == as_colour.pixels[31]);
  CHECK(std::abs(as_colour.pixels[3 * 100] - grey[100]) <= 2);
}

TEST_CASE("jpeg: inks become light") {
  const TempFolder folder;
  Pixels inks;  // as Adobe writes them: 255 is no ink
  for (int i = 0; i < 64; ++i) inks.insert(inks.end(), {200, 100, 50, 128});
  const Image image = decoded(folder, jpeg_file(8, 8, 4, inks));
  CHECK(std::abs(image.pixels[0] - 200 * 128 / 255) <= 2);
  CHECK(std::abs(image.pixels[1] - 100 * 128 / 255) <= 2);
  CHECK(std::abs(image.pixels[2] - 50 * 128 / 255) <= 2);
}

TEST_CASE("png: every kind of pixels to the bit") {
  const TempFolder folder;
  for (const bool interlaced : {false, true}) {
    const Pixels colour = ramp(11, 7, 3);
    CHECK(decoded(folder, png_file(11, 7, PngKind::rgb, colour, interlaced)).pixels == colour);
    CHECK(decoded(folder, png_file(11, 7, PngKind::rgb16, colour, interlaced)).pixels == colour);
    const Pixels grey = ramp(11, 7, 1);
    CHECK(decoded(folder, png_file(11, 7, PngKind::gray, grey, interlaced), grey_kind).pixels == grey);
    CHECK(decoded(folder, png_file(11, 7, PngKind::gray16, grey), grey_kind).pixels == grey);
  }
  CHECK(decoded(folder, png_file(1, 2, PngKind::rgb_alpha, {1, 2, 3, 0, 4, 5, 6, 255})).pixels ==
        Pixels{1, 2, 3, 4, 5, 6});
  CHECK(decoded(folder, png_file(1, 2, PngKind::gray_alpha, {7, 0, 9, 200})).pixels == Pixels{7, 7, 7, 9, 9, 9});
  CHECK(decoded(folder, png_file(1, 3, PngKind::palette, {2, 0, 1})).pixels == Pixels{0, 0, 64, 255, 0, 0, 0, 128, 0});
  CHECK(decoded(folder, png_file(1, 3, PngKind::gray1, {1, 0, 1}), grey_kind).pixels == Pixels{255, 0, 255});
  const Image luma = decoded(folder, png_file(1, 2, PngKind::rgb, {255, 0, 0, 0, 255, 0}), grey_kind);
  CHECK(std::abs(luma.pixels[0] - 76) <= 1);   // 0.299
  CHECK(std::abs(luma.pixels[1] - 150) <= 1);  // 0.587
}

TEST_CASE("a jpeg or png file cut anywhere is an error that names it and the place") {
  const TempFolder folder;
  for (const std::string& file : {jpeg_file(16, 16, 3, ramp(16, 16, 3)), jpeg_file(16, 16, 3, ramp(16, 16, 3), true),
                                  png_file(16, 16, PngKind::rgb, ramp(16, 16, 3))}) {
    for (std::size_t length = 0; length < file.size(); ++length) {
      const std::string message = message_of(ErrorKind::data, [&] { decoded(folder, file.substr(0, length)); });
      CHECK(contains(message, "picture: "));
      if (length > 8) CHECK(contains(message, "at byte "));
    }
  }
}

TEST_CASE("jpeg and png: flipped bytes give an error or a picture of the right size, never more") {
  const TempFolder folder;
  for (std::string file : {jpeg_file(16, 16, 3, ramp(16, 16, 3)), png_file(16, 16, PngKind::rgb, ramp(16, 16, 3))}) {
    int errors = 0;
    for (std::size_t at = 0; at < file.size(); ++at) {
      std::string damaged = file;
      damaged[at] = static_cast<char>(damaged[at] ^ 0x55);
      try {
        const Image image = decoded(folder, damaged, sized(8, 8));
        CHECK(image.pixels.size() == 8 * 8 * 3);
      } catch (const Error& error) {
        ++errors;
        CHECK(error.kind() == ErrorKind::data);
      }
    }
    CHECK(errors > 50);
  }
}

TEST_CASE("pictures of impossible size are refused before memory is taken") {
  const TempFolder folder;
  std::string file = jpeg_file(8, 8, 1, ramp(8, 8, 1));
  const std::size_t frame = file.find("\xff\xc0");
  REQUIRE(frame != std::string::npos);
  for (std::size_t i = 5; i < 9; ++i) file[frame + i] = static_cast<char>(0xf0);  // height and width
  CHECK(contains(message_of(ErrorKind::data, [&] { decoded(folder, file); }), "more than can be handled"));
  CHECK(contains(message_of(ErrorKind::data, [&] { decoded(folder, "GIF89a..."); }), "neither a JPEG nor a PNG"));
}

// The expected numbers are those of Pillow 13 (Image.resize with BILINEAR) for the same pixels.
TEST_CASE("resize: bilinear with a filter as wide as the coarser grid") {
  Image image{.height = 4, .width = 6, .channels = 1, .pixels = {}};
  for (int i = 0; i < 24; ++i) image.pixels.push_back(static_cast<std::uint8_t>(i * i * 7 % 256));
  Image out;
  resize(image, {0, 0, 4, 6}, 2, 3, out);
  CHECK(largest_difference(out.pixels, Pixels{103, 85, 124, 200, 104, 96}) <= 1);
  resize(image, {0, 0, 4, 6}, 5, 8, out);
  CHECK(largest_difference(out.pixels, Pixels{0,   4,   15,  32,  59,  94,  136, 175, 176, 106, 93,  132, 68,  125,
                                              144, 108, 246, 169, 130, 130, 59,  77,  117, 155, 234, 199, 162, 123,
                                              45,  23,  86,  197, 220, 222, 229, 212, 43,  43,  82,  119}) <= 1);
  resize(image, {1, 2, 3, 3}, 2, 2, out);
  CHECK(largest_difference(out.pixels, Pixels{115, 92, 125, 33}) <= 1);
}

TEST_CASE("decode: stretch keeps all of a picture, crop its middle; large ones are halved while decoding") {
  const TempFolder folder;
  Pixels bars;  // black, white, black columns
  for (int y = 0; y < 10; ++y)
    for (int x = 0; x < 30; ++x) bars.insert(bars.end(), 3, x >= 10 && x < 20 ? 255 : 0);
  const std::string file = png_file(10, 30, PngKind::rgb, bars);
  const Image cropped = decoded(folder, file, sized(5, 5, ImageFit::crop));
  CHECK(std::ranges::all_of(cropped.pixels, [](std::uint8_t v) { return v == 255; }));
  const Image stretched = decoded(folder, file, sized(5, 6));
  CHECK(stretched.pixels[0] < 40);
  CHECK(stretched.pixels[3 * 3] > 200);
  const Pixels large = ramp(256, 320, 3);
  const Image small = decoded(folder, jpeg_file(256, 320, 3, large), sized(16, 20));
  Image whole{.height = 256, .width = 320, .channels = 3, .pixels = large};
  Image expected;
  resize(whole, {0, 0, 256, 320}, 16, 20, expected);
  CHECK(largest_difference(small.pixels, expected.pixels) <= 4);
}
