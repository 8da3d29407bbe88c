#include "data/gzip.h"

#include <libdeflate.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>

#include "base/error.h"

namespace trainctl {
namespace {

constexpr std::size_t smallest_gzip = 18;          // header 10, trailer 8
constexpr std::uint64_t deflate_max_ratio = 1032;  // 258 bytes from two bits

// zlib's stream, for what libdeflate cannot do: the beginning of a file, and the place where one is damaged.
class Inflater {
 public:
  explicit Inflater(std::span<const std::byte> compressed) : rest_(compressed) {
    constexpr int gzip_window = 15 + 16;
    if (inflateInit2(&stream_, gzip_window) != Z_OK) fail(ErrorKind::environment, "out of memory");
  }
  ~Inflater() { inflateEnd(&stream_); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  // Fills `out` as far as the input goes; gives zlib's code: Z_OK, Z_STREAM_END, Z_BUF_ERROR (no more input), or an
  // error.
  int fill(std::span<std::byte> out) {
    constexpr std::size_t piece = std::size_t{1} << 30;  // zlib counts in 32 bits
    if (stream_.avail_in == 0) {
      const std::size_t n = std::min(rest_.size(), piece);
      stream_.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(rest_.data()));
      stream_.avail_in = static_cast<uInt>(n);
      rest_ = rest_.subspan(n);
    }
    stream_.next_out = reinterpret_cast<Bytef*>(out.data());
    stream_.avail_out = static_cast<uInt>(out.size());
    return inflate(&stream_, Z_NO_FLUSH);
  }
  std::size_t read_bytes() const { return stream_.total_in; }
  std::size_t written_bytes() const { return stream_.total_out; }

 private:
  z_stream stream_{};
  std::span<const std::byte> rest_;
};

// Says where a file that is not one good gzip stream goes wrong.
[[noreturn]] void fail_damaged(std::span<const std::byte> compressed, const std::filesystem::path& path) {
  Inflater inflater(compressed);
  std::array<std::byte, 65536> scratch;
  int code = Z_OK;
  while (code == Z_OK) code = inflater.fill(scratch);
  const std::size_t at = inflater.read_bytes();
  if (code == Z_BUF_ERROR) {
    fail(ErrorKind::data, "{}: truncated: the gzip stream goes on where the file ends, at byte {}", path.string(), at);
  }
  if (code == Z_STREAM_END && at < compressed.size()) {
    fail(ErrorKind::data, "{}: too long: its gzip stream ends at byte {} of {}", path.string(), at, compressed.size());
  }
  fail(ErrorKind::data, "{}: damaged: not a valid gzip stream at byte {} (after {} bytes of contents)", path.string(),
       at, inflater.written_bytes());
}

// ISIZE, the last four bytes: the length of the contents modulo 2^32. Believed only where it can be true.
std::size_t contents_size(std::span<const std::byte> file, const std::filesystem::path& path) {
  if (file.size() < smallest_gzip) fail_damaged(file, path);
  std::uint32_t size = 0;
  for (int i = 0; i < 4; ++i) size |= std::to_integer<std::uint32_t>(file[file.size() - 4 + i]) << (8 * i);
  if (size > file.size() * deflate_max_ratio) fail_damaged(file, path);
  return size;
}

}  // namespace

bool is_gzip(std::span<const std::byte> bytes) {
  return bytes.size() >= 2 && bytes[0] == std::byte{0x1f} && bytes[1] == std::byte{0x8b};
}

HostBytes gunzip(std::span<const std::byte> compressed, const std::filesystem::path& path, std::size_t lead) {
  const std::size_t expected = contents_size(compressed, path);
  HostBytes out(lead + expected);
  const std::unique_ptr<libdeflate_decompressor, void (*)(libdeflate_decompressor*)> decompressor(
      libdeflate_alloc_decompressor(), libdeflate_free_decompressor);
  if (!decompressor) fail(ErrorKind::environment, "out of memory");
  std::size_t used = 0;
  std::size_t produced = 0;
  const libdeflate_result result = libdeflate_gzip_decompress_ex(
      decompressor.get(), compressed.data(), compressed.size(), out.data() + lead, expected, &used, &produced);
  if (result != LIBDEFLATE_SUCCESS || used != compressed.size() || produced != expected) fail_damaged(compressed, path);
  return out;
}

std::size_t gunzip_head(std::span<const std::byte> compressed, std::span<std::byte> out,
                        const std::filesystem::path& path) {
  Inflater inflater(compressed);
  const int code = inflater.fill(out);
  if (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR) {
    fail(ErrorKind::data, "{}: damaged: not a valid gzip stream at byte {}", path.string(), inflater.read_bytes());
  }
  return inflater.written_bytes();
}

}  // namespace trainctl
