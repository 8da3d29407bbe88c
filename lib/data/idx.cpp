#include "data/idx.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <span>
#include <utility>

#include "base/error.h"
#include "data/gzip.h"

namespace trainctl {
namespace {

struct IdxType {
  std::uint8_t code;
  std::size_t bytes;
  DType as;
};
constexpr std::array<IdxType, 6> types{{{0x08, 1, DType::u8},
                                        {0x09, 1, DType::i32},
                                        {0x0b, 2, DType::i32},
                                        {0x0c, 4, DType::i32},
                                        {0x0d, 4, DType::f32},
                                        {0x0e, 8, DType::f32}}};

constexpr std::size_t magic_bytes = 4;
constexpr std::size_t most_header_bytes = magic_bytes + 4 * 255;

template <typename Word>
Word load_big_endian(const std::byte* bytes) {
  Word word = 0;
  for (std::size_t i = 0; i < sizeof(Word); ++i) {
    word = static_cast<Word>(word << 8 | std::to_integer<Word>(bytes[i]));
  }
  return word;
}

// Reads big-endian words, takes their bits for a `From`, and writes `To`.
template <typename Word, typename From, typename To>
void convert(const std::byte* from, std::byte* to, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    const To value = static_cast<To>(std::bit_cast<From>(load_big_endian<Word>(from + i * sizeof(Word))));
    std::memcpy(to + i * sizeof(To), &value, sizeof(To));
  }
}

class IdxFile final : public ArrayFile {
 public:
  explicit IdxFile(const std::filesystem::path& path) : file_(path) {
    origin_ = path.string();
    std::array<std::byte, 2> magic{};
    if (file_.size() >= magic.size()) file_.read(0, magic);
    gzip_ = is_gzip(magic);
    read_header();
    if (!gzip_) check_length(file_.size());
  }

  Column load() const override {
    const std::size_t lead = (HostBytes::alignment - header_bytes_ % HostBytes::alignment) % HostBytes::alignment;
    Column column{.field = {.dtype = info_.dtype}, .storage = contents(lead)};
    column.offset = lead + header_bytes_;
    check_length(column.storage.size() - lead);
    column.field.shape = Shape(std::span(info_.dims).subspan(1));
    return type_.code == 0x08 ? std::move(column) : converted(column);
  }

  std::optional<StoredArray> stored() const override {
    if (gzip_ || type_.code != 0x08) return std::nullopt;
    return StoredArray{&file_, header_bytes_};
  }

 private:
  HostBytes contents(std::size_t lead) const {
    return gzip_ ? gunzip(file_.read_all().span(), file_.path(), lead) : file_.read_all(lead);
  }

  // The first bytes of the contents, at most `out.size()`.
  std::span<std::byte> head(std::span<std::byte> out) const {
    if (!gzip_) {
      out = out.first(std::min<std::uint64_t>(out.size(), file_.size()));
      file_.read(0, out);
      return out;
    }
    HostBytes compressed(std::min<std::uint64_t>(file_.size(), 65536));
    file_.read(0, compressed.span());
    return out.first(gunzip_head(compressed.span(), out, file_.path()));
  }

  void read_header() {
    std::array<std::byte, most_header_bytes> storage;
    const std::span<std::byte> bytes = head(storage);
    if (bytes.size() < magic_bytes) {
      fail(ErrorKind::data, "{}: truncated: ends at byte {}, within the magic number", origin_, bytes.size());
    }
    const auto magic = load_big_endian<std::uint32_t>(bytes.data());
    const auto* type = std::ranges::find(types, static_cast<std::uint8_t>(magic >> 8), &IdxType::code);
    if (magic >> 16 != 0 || type == types.end()) {
      fail(ErrorKind::data, "{}: not an IDX file: magic number 0x{:08x} at byte 0 (images of bytes have 0x00000803)",
           origin_, magic);
    }
    type_ = *type;
    const std::size_t rank = magic & 0xff;
    header_bytes_ = magic_bytes + 4 * rank;
    if (bytes.size() < header_bytes_) {
      fail(ErrorKind::data, "{}: truncated: ends at byte {}, within its {} extents", origin_, bytes.size(), rank);
    }
    for (std::size_t axis = 0; axis < rank; ++axis) {
      info_.dims.push_back(load_big_endian<std::uint32_t>(bytes.data() + magic_bytes + 4 * axis));
    }
    payload_bytes_ = checked_bytes(info_.dims, type_.bytes, origin_);
    info_.dtype = type_.as;
    if (rank == 3) info_.dims.insert(info_.dims.begin() + 1, 1);
  }

  void check_length(std::uint64_t length) const {
    const std::uint64_t expected = header_bytes_ + payload_bytes_;
    const char* unit = gzip_ ? "contents end" : "ends";
    if (length < expected) {
      fail(ErrorKind::data, "{}: truncated: {} at byte {}, its header promises {}", origin_, unit, length, expected);
    }
    if (length > expected) {
      fail(ErrorKind::data, "{}: too long: {} at byte {}, its header promises {}", origin_, unit, length, expected);
    }
  }

  Column converted(const Column& raw) const {
    const auto count = static_cast<std::size_t>(payload_bytes_ / type_.bytes);
    Column out{.field = raw.field, .storage = HostBytes(count * size_bytes(info_.dtype))};
    switch (type_.code) {
      case 0x09:
        convert<std::uint8_t, std::int8_t, std::int32_t>(raw.data(), out.data(), count);
        break;
      case 0x0b:
        convert<std::uint16_t, std::int16_t, std::int32_t>(raw.data(), out.data(), count);
        break;
      case 0x0c:
        convert<std::uint32_t, std::int32_t, std::int32_t>(raw.data(), out.data(), count);
        break;
      case 0x0d:
        convert<std::uint32_t, float, float>(raw.data(), out.data(), count);
        break;
      default:
        convert<std::uint64_t, double, float>(raw.data(), out.data(), count);
        break;
    }
    return out;
  }

  InputFile file_;
  bool gzip_ = false;
  IdxType type_{};
  std::size_t header_bytes_ = 0;
  std::uint64_t payload_bytes_ = 0;
};

}  // namespace

std::unique_ptr<ArrayFile> open_idx(const std::filesystem::path& path) {
  return std::make_unique<IdxFile>(path);
}

}  // namespace trainctl
