#include "data/images/decode.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <exception>
#include <mutex>
#include <thread>

#include "base/error.h"
#include "base/signals.h"
#include "data/images/resize.h"
#include "data/input_file.h"

namespace trainctl {
namespace {

constexpr std::uint64_t most_file_bytes = std::uint64_t{1} << 30;

bool starts_with(std::span<const std::byte> file, std::string_view magic) {
  return file.size() >= magic.size() && std::memcmp(file.data(), magic.data(), magic.size()) == 0;
}

// The part of a picture that is scaled: all of it, or the largest centred one of the wanted shape.
ImageRegion region_of(const Image& image, const ImageDecoding& how) {
  ImageRegion region{.height = image.height, .width = image.width};
  if (how.fit == ImageFit::stretch) return region;
  const auto [height, width] = *how.size;
  if (image.height * width > image.width * height) {
    region.height = std::max<std::int64_t>(1, image.width * height / width);
  } else {
    region.width = std::max<std::int64_t>(1, image.height * width / height);
  }
  region.top = (image.height - region.height) / 2;
  region.left = (image.width - region.width) / 2;
  return region;
}

// (H, W, C) to (C, H, W).
void write_planes(const Image& image, std::byte* out) {
  const auto pixels = static_cast<std::size_t>(image.height * image.width);
  const auto channels = static_cast<std::size_t>(image.channels);
  auto* to = reinterpret_cast<std::uint8_t*>(out);
  for (std::size_t c = 0; c < channels; ++c) {
    const std::uint8_t* from = image.pixels.data() + c;
    for (std::size_t i = 0; i < pixels; ++i) *to++ = from[i * channels];
  }
}

/// What the threads of decode_files share.
struct Job {
  const std::vector<std::filesystem::path>& files;
  const ImageDecoding& how;
  std::byte* out;
  bool skip;
  std::atomic<std::size_t> next{0};
  std::atomic<bool> stop{false};
  std::mutex mutex{};
  std::vector<DamagedImage> damaged{};
  std::size_t failed_index = SIZE_MAX;
  std::exception_ptr error{};

  std::size_t sample_bytes() const {
    return static_cast<std::size_t>(how.channels() * how.size->first * how.size->second);
  }

  // Files are taken in order, so when one fails, all before it have been taken, and the first failure is the same
  // whatever the number of threads.
  void work() {
    std::optional<ImageDecoder> decoder;
    while (!stop) {
      const std::size_t index = next++;
      if (index >= files.size()) return;
      try {
        if (signals::stop_requested()) fail(ErrorKind::interrupted, "stopped while decoding pictures");
        if (!decoder) decoder.emplace();
        write_planes(decoder->decode(files[index], how), out + index * sample_bytes());
      } catch (const Error& problem) {
        const std::lock_guard lock(mutex);
        if (skip && problem.kind() == ErrorKind::data) {
          damaged.push_back({index, problem.what()});
        } else {
          note_failure(index);
        }
      } catch (...) {
        const std::lock_guard lock(mutex);
        note_failure(index);
      }
    }
  }

  // The mutex is held, and an exception is being handled.
  void note_failure(std::size_t index) {
    stop = true;
    if (index >= failed_index) return;
    failed_index = index;
    error = std::current_exception();
  }
};

}  // namespace

Schema<ImageDecoding> ImageDecoding::schema() {
  return Schema<ImageDecoding>("What an image file becomes: bytes of one shape (channels, height, width).")
      .field("size", &ImageDecoding::size, between(1, 65536), unit("pixels"),
             "Height and width, or one number for both; if left out, that of the first file, which all must have.")
      .field("color", &ImageDecoding::color, "Three channels, or one; files of the other kind are converted.")
      .field("fit", &ImageDecoding::fit,
             "How another shape becomes this one: all of the picture stretched, or its largest centred part that fits.")
      .example("{size: 32}")
      .example("{size: [224, 224], fit: crop}");
}

const Image& ImageDecoder::decode(const std::filesystem::path& path, const ImageDecoding& how) {
  const InputFile input(path);
  if (input.size() > most_file_bytes) fail(ErrorKind::data, "{}: more than a GiB is no picture", path.string());
  file_.resize(static_cast<std::size_t>(input.size()));
  input.read(0, file_);
  if (starts_with(file_, "\xff\xd8")) {
    const bool scaled = how.size && !how.exact;
    const std::int64_t height = scaled ? how.size->first : 0;
    const std::int64_t width = scaled ? how.size->second : 0;
    jpeg_.decode(file_, path.string(), how.channels(), height, width, decoded_);
  } else if (starts_with(file_, "\x89PNG\r\n\x1a\n")) {
    decode_png(file_, path.string(), how.channels(), decoded_);
  } else {
    fail(ErrorKind::data, "{}: neither a JPEG nor a PNG file (by the bytes at its beginning)", path.string());
  }
  if (!how.size || (how.size->first == decoded_.height && how.size->second == decoded_.width)) return decoded_;
  if (how.exact) {
    fail(ErrorKind::data, "{}: is {} x {} pixels (height x width), the first file {} x {}; give a size under 'decode'",
         path.string(), decoded_.height, decoded_.width, how.size->first, how.size->second);
  }
  resize(decoded_, region_of(decoded_, how), how.size->first, how.size->second, resized_);
  return resized_;
}

void decode_file(const std::filesystem::path& file, const ImageDecoding& how, std::byte* out) {
  thread_local ImageDecoder decoder;
  write_planes(decoder.decode(file, how), out);
}

void decode_files(const std::vector<std::filesystem::path>& files, const ImageDecoding& how, int threads,
                  std::byte* out, std::vector<DamagedImage>* damaged) {
  require(how.size.has_value(), "pictures of a data set need one size");
  Job job{.files = files, .how = how, .out = out, .skip = damaged != nullptr};
  std::size_t workers = static_cast<std::size_t>(threads);
  if (threads == 0) workers = std::max(1u, std::thread::hardware_concurrency());
  workers = std::clamp<std::size_t>(workers, 1, std::max<std::size_t>(1, files.size()));
  std::vector<std::jthread> others;
  for (std::size_t i = 1; i < workers; ++i) others.emplace_back([&job] { job.work(); });
  job.work();
  others.clear();  // joins
  if (job.error) std::rethrow_exception(job.error);
  if (!damaged) return;
  std::ranges::sort(job.damaged, {}, &DamagedImage::index);
  *damaged = std::move(job.damaged);
}

}  // namespace trainctl
