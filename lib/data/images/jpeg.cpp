#include <csetjmp>
#include <cstdio>

// libjpeg's headers need stdio's types before them.
#include <jerror.h>
#include <jpeglib.h>

#include <algorithm>

#include "base/error.h"
#include "data/images/image.h"

namespace trainctl {

// libjpeg reports errors through callbacks that must not return; it is left by longjmp, as its manual says. Between
// setjmp and longjmp there is no object with a destructor.
struct JpegDecoder::State {
  jpeg_decompress_struct info{};
  jpeg_error_mgr errors{};
  std::jmp_buf leave{};
  char message[JMSG_LENGTH_MAX] = {};
  const std::uint8_t* begin = nullptr;
  std::size_t size = 0;
  std::vector<std::uint8_t> row{};  // of CMYK

  std::size_t offset() const {
    const std::uint8_t* at = info.src ? info.src->next_input_byte : nullptr;
    return at >= begin && at <= begin + size ? static_cast<std::size_t>(at - begin) : size;
  }
  [[noreturn]] void give_up() {
    errors.format_message(reinterpret_cast<j_common_ptr>(&info), message);
    std::longjmp(leave, 1);
  }
  static State& of(j_common_ptr common) { return *static_cast<State*>(common->client_data); }
  static void on_error(j_common_ptr common) { of(common).give_up(); }
  static void on_message(j_common_ptr common, int level) {
    if (level >= 0) return;  // a trace
    switch (common->err->msg_code) {
      case JWRN_EXTRANEOUS_DATA:  // harmless bytes between markers
      case JWRN_ADOBE_XFORM:
      case JWRN_JFIF_MAJOR:
      case JWRN_BOGUS_ICC:
        return;
      default:
        of(common).give_up();
    }
  }

  bool read(std::span<const std::byte> file, int channels, std::int64_t least_height, std::int64_t least_width,
            Image& out);
  void read_rows(Image& out);
  void take_cmyk(std::uint8_t* to, std::int64_t channels) const;
};

JpegDecoder::JpegDecoder() : state_(std::make_unique<State>()) {
  State& s = *state_;
  s.info.err = jpeg_std_error(&s.errors);
  s.errors.error_exit = &State::on_error;
  s.errors.emit_message = &State::on_message;
  s.info.client_data = &s;
  if (setjmp(s.leave)) fail(ErrorKind::environment, "libjpeg cannot be used: {}", s.message);
  jpeg_create_decompress(&s.info);
  s.info.client_data = &s;
}

JpegDecoder::~JpegDecoder() {
  jpeg_destroy_decompress(&state_->info);
}

void JpegDecoder::decode(std::span<const std::byte> file, const std::string& path, int channels,
                         std::int64_t least_height, std::int64_t least_width, Image& out) {
  State& s = *state_;
  s.begin = reinterpret_cast<const std::uint8_t*>(file.data());
  s.size = file.size();
  s.message[0] = '\0';
  const bool whole = s.read(file, channels, least_height, least_width, out);
  const std::size_t offset = s.offset();
  jpeg_abort_decompress(&s.info);
  if (!whole) fail(ErrorKind::data, "{}: damaged JPEG at byte {}: {}", path, offset, s.message);
}

// False, with a message, if the file is damaged.
bool JpegDecoder::State::read(std::span<const std::byte> file, int channels, std::int64_t least_height,
                              std::int64_t least_width, Image& out) {
  if (setjmp(leave)) return false;
  jpeg_mem_src(&info, reinterpret_cast<const unsigned char*>(file.data()), static_cast<unsigned long>(file.size()));
  jpeg_read_header(&info, TRUE);
  if (static_cast<std::int64_t>(info.image_width) * info.image_height > most_image_pixels) {
    std::snprintf(message, sizeof message, "%u x %u pixels are more than can be handled", info.image_width,
                  info.image_height);
    return false;
  }
  const bool cmyk = info.jpeg_color_space == JCS_CMYK || info.jpeg_color_space == JCS_YCCK;
  info.out_color_space = cmyk ? JCS_CMYK : channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
  info.dct_method = JDCT_ISLOW;  // exact to the bit on every machine
  if (channels == 1 && info.jpeg_color_space == JCS_RGB) info.out_color_space = JCS_GRAYSCALE;
  if (least_height > 0 && least_width > 0) {
    while (info.scale_denom < 8 && info.image_height >= 4 * info.scale_denom * least_height &&
           info.image_width >= 4 * info.scale_denom * least_width) {
      info.scale_denom *= 2;
    }
  }
  jpeg_start_decompress(&info);
  out.height = info.output_height;
  out.width = info.output_width;
  out.channels = channels;
  read_rows(out);
  jpeg_finish_decompress(&info);
  return true;
}

void JpegDecoder::State::read_rows(Image& out) {
  const auto stride = static_cast<std::size_t>(out.width * out.channels);
  out.pixels.resize(static_cast<std::size_t>(out.height) * stride);
  const bool cmyk = info.out_color_space == JCS_CMYK;
  if (cmyk) row.resize(static_cast<std::size_t>(out.width) * 4);
  while (info.output_scanline < info.output_height) {
    std::uint8_t* to = out.pixels.data() + info.output_scanline * stride;
    std::uint8_t* target = cmyk ? row.data() : to;
    jpeg_read_scanlines(&info, &target, 1);
    if (cmyk) take_cmyk(to, out.channels);
  }
}

// A row of CMYK as RGB or grey, c' = (255 - C) (255 - K) / 255. Adobe's files hold the inks inverted.
void JpegDecoder::State::take_cmyk(std::uint8_t* to, std::int64_t channels) const {
  const bool inverted = info.saw_Adobe_marker != 0;
  for (std::size_t i = 0; i + 3 < row.size(); i += 4) {
    int light[4];
    for (std::size_t c = 0; c < 4; ++c) light[c] = inverted ? row[i + c] : 255 - row[i + c];
    int rgb[3];
    for (int c = 0; c < 3; ++c) rgb[c] = (light[c] * light[3] + 127) / 255;
    if (channels == 1) {
      *to++ = static_cast<std::uint8_t>((299 * rgb[0] + 587 * rgb[1] + 114 * rgb[2] + 500) / 1000);
    } else {
      for (const int value : rgb) *to++ = static_cast<std::uint8_t>(value);
    }
  }
}

}  // namespace trainctl
