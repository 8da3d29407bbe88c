#include "store/user_block.h"

#include <charconv>

#include "base/error.h"
#include "base/sha256.h"
#include "store/hdf5.h"

namespace trainctl {
namespace {

constexpr std::string_view magic = "trainctl-checkpoint ";
constexpr int format_version = 1;

std::string render(std::uint64_t length, std::string_view digest) {
  std::string text = fmt::format("{}{}\nlength {}\nsha256 {}\n", magic, format_version, length, digest);
  text += "An HDF5 file follows these 512 bytes; h5py and h5dump open it as it is.\n";
  text.resize(hdf5::user_block_bytes - 1, ' ');
  return text + '\n';
}

// Takes the number after `key` at the front of `text`; false if there is none.
bool take_number(std::string_view& text, std::string_view key, std::uint64_t& number) {
  if (!text.starts_with(key)) return false;
  text.remove_prefix(key.size());
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end == text.data() + text.size() || *end != '\n') return false;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()) + 1);
  return true;
}

}  // namespace

std::string make_user_block(ByteSpan payload) {
  return render(payload.size(), sha256_hex(payload));
}

std::string verify_user_block(ByteSpan file, const std::string& source) {
  const std::string_view all(reinterpret_cast<const char*>(file.data()), file.size());
  const std::string_view block = all.substr(0, hdf5::user_block_bytes);
  std::string_view rest = block;
  std::uint64_t version = 0, length = 0;
  if (!take_number(rest, magic, version)) {
    fail(ErrorKind::data, "{}: is not a trainctl checkpoint, or its start is damaged or missing", source);
  }
  if (version != format_version) {
    fail(ErrorKind::data, "{}: has format version {}, this trainctl reads version {}; use the version that wrote it",
         source, version, format_version);
  }
  if (block.size() < hdf5::user_block_bytes || !take_number(rest, "length ", length)) {
    fail(ErrorKind::data, "{}: is cut short or damaged in its first 512 bytes", source);
  }
  const ByteSpan payload = file.subspan(hdf5::user_block_bytes);
  if (payload.size() != length) {
    fail(ErrorKind::data, "{}: is {}: {} bytes follow its header, which says {}", source,
         payload.size() < length ? "cut short" : "too long", payload.size(), length);
  }
  std::string digest = sha256_hex(payload);
  if (block != render(length, digest)) fail(ErrorKind::data, "{}: is damaged: its SHA-256 does not match", source);
  return digest;
}

}  // namespace trainctl
