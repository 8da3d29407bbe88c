#include "data/npy.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"

namespace trainctl {
namespace {

constexpr std::string_view magic("\x93NUMPY", 6);

struct NpyType {
  std::string_view descr;
  std::size_t bytes;
  DType as;
};
constexpr std::array<NpyType, 7> types{{{"|u1", 1, DType::u8},
                                        {"<u1", 1, DType::u8},
                                        {"|b1", 1, DType::u8},
                                        {"<i4", 4, DType::i32},
                                        {"<i8", 8, DType::i64},
                                        {"<f4", 4, DType::f32},
                                        {"<f8", 8, DType::f32}}};

// What the header says: a Python dict literal with three known keys in any order.
struct NpyHeader {
  std::string descr;
  bool fortran_order = false;
  std::vector<std::int64_t> shape;
};

class HeaderParser {
 public:
  HeaderParser(std::string_view text, std::size_t file_offset, const std::string& origin)
      : text_(text), file_offset_(file_offset), origin_(origin) {}

  NpyHeader parse() {
    NpyHeader header;
    unsigned seen = 0;
    expect('{');
    while (!accept('}')) {
      const std::string key = quoted();
      expect(':');
      if (key == "descr") {
        header.descr = quoted();
        seen |= 1;
      } else if (key == "fortran_order") {
        header.fortran_order = boolean();
        seen |= 2;
      } else if (key == "shape") {
        header.shape = tuple();
        seen |= 4;
      } else {
        damaged("has an unknown key");
      }
      if (!accept(',')) {
        expect('}');
        break;
      }
    }
    skip_space();
    if (at_ != text_.size()) damaged("goes on after its end");
    if (seen != 7) damaged("lacks one of 'descr', 'fortran_order', 'shape'");
    return header;
  }

 private:
  [[noreturn]] void damaged(std::string_view what) const {
    fail(ErrorKind::data, "{}: not a readable .npy file: its header {} at byte {}", origin_, what, file_offset_ + at_);
  }

  void skip_space() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\t')) ++at_;
  }

  bool accept(char c) {
    skip_space();
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }

  void expect(char c) {
    if (!accept(c)) damaged(fmt::format("lacks '{}'", c));
  }

  std::string quoted() {
    const char quote = accept('"') ? '"' : '\'';
    if (quote == '\'') expect('\'');
    const std::size_t end = text_.find(quote, at_);
    if (end == std::string_view::npos) damaged("has a text without an end");
    const std::string_view out = text_.substr(at_, end - at_);
    at_ = end + 1;
    return std::string(out);
  }

  bool boolean() {
    skip_space();
    for (const auto& [word, value] : {std::pair<std::string_view, bool>{"True", true}, {"False", false}}) {
      if (text_.substr(at_).starts_with(word)) {
        at_ += word.size();
        return value;
      }
    }
    damaged("lacks True or False");
  }

  std::vector<std::int64_t> tuple() {
    std::vector<std::int64_t> out;
    expect('(');
    while (!accept(')')) {
      skip_space();
      std::int64_t extent = 0;
      const auto [end, error] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), extent);
      if (error != std::errc()) damaged("has an extent that is no number");
      at_ = static_cast<std::size_t>(end - text_.data());
      out.push_back(extent);
      if (!accept(',')) {
        expect(')');
        break;
      }
    }
    return out;
  }

  std::string_view text_;
  std::size_t file_offset_;
  const std::string& origin_;
  std::size_t at_ = 0;
};

class NpyFile final : public ArrayFile {
 public:
  explicit NpyFile(const std::filesystem::path& path) : file_(path) {
    origin_ = path.string();
    const NpyHeader header = read_header();
    const auto* type = std::ranges::find(types, std::string_view(header.descr), &NpyType::descr);
    if (type == types.end()) {
      fail(ErrorKind::data, "{}: elements of type '{}' are not handled; save it as u1, <i4, <i8, <f4 or <f8", origin_,
           header.descr);
    }
    if (header.fortran_order && header.shape.size() > 1) {
      fail(ErrorKind::data, "{}: the array is in Fortran order; save numpy.ascontiguousarray(a)", origin_);
    }
    type_ = *type;
    info_ = {type_.as, header.shape};
    const std::uint64_t expected = offset_ + checked_bytes(info_.dims, type_.bytes, origin_);
    if (file_.size() < expected) {
      fail(ErrorKind::data, "{}: truncated: ends at byte {}, its header promises {}", origin_, file_.size(), expected);
    }
    if (file_.size() > expected) {
      fail(ErrorKind::data, "{}: too long: ends at byte {}, its header promises {}", origin_, file_.size(), expected);
    }
  }

  Column load() const override {
    Column column{.field = {.dtype = info_.dtype}};
    column.field.shape = Shape(std::span(info_.dims).subspan(1));
    column.storage = HostBytes(static_cast<std::size_t>(info_.samples()) * column.field.sample_bytes());
    if (is_direct()) {
      file_.load(offset_, column.storage.span());
    } else {
      narrow(column.storage.span());
    }
    return column;
  }

  std::optional<StoredArray> stored() const override {
    if (!is_direct()) return std::nullopt;
    return StoredArray{&file_, offset_};
  }

 private:
  bool is_direct() const { return type_.bytes == size_bytes(type_.as); }

  // f64 to f32, a piece at a time.
  void narrow(std::span<std::byte> out) const {
    std::vector<double> piece(65536);
    const std::size_t count = out.size() / sizeof(float);
    for (std::size_t at = 0; at < count; at += piece.size()) {
      const std::span<double> part = std::span(piece).first(std::min(piece.size(), count - at));
      file_.load(offset_ + at * sizeof(double), std::as_writable_bytes(part));
      std::ranges::transform(part, reinterpret_cast<float*>(out.data()) + at,
                             [](double v) { return static_cast<float>(v); });
    }
  }

  NpyHeader read_header() {
    std::array<std::byte, 12> start{};
    const std::size_t n = std::min<std::uint64_t>(start.size(), file_.size());
    file_.read(0, std::span(start).first(n));
    if (n < start.size() || std::memcmp(start.data(), magic.data(), magic.size()) != 0) {
      fail(ErrorKind::data, "{}: not a .npy file: it does not begin with '\\x93NUMPY' and a header (byte 0)", origin_);
    }
    const auto byte = [&](int i) { return std::to_integer<std::uint32_t>(start[i]); };
    const std::uint32_t version = byte(6);
    if (version < 1 || version > 3) {
      fail(ErrorKind::data, "{}: .npy format version {} at byte 6 is not known; 1 to 3 are", origin_, version);
    }
    const std::size_t header_at = version == 1 ? 10 : 12;
    std::uint32_t length = byte(8) | byte(9) << 8;
    if (version > 1) length |= byte(10) << 16 | byte(11) << 24;
    constexpr std::uint32_t most_header_bytes = 65536;
    if (length > most_header_bytes || header_at + length > file_.size()) {
      fail(ErrorKind::data, "{}: truncated or damaged: a header of {} bytes at byte {}, but the file has {}", origin_,
           length, header_at, file_.size());
    }
    std::string text(length, '\0');
    file_.read(header_at, std::as_writable_bytes(std::span(text)));
    offset_ = header_at + length;
    return HeaderParser(text, header_at, origin_).parse();
  }

  InputFile file_;
  NpyType type_{};
  std::uint64_t offset_ = 0;
};

}  // namespace

std::unique_ptr<ArrayFile> open_npy(const std::filesystem::path& path) {
  return std::make_unique<NpyFile>(path);
}

}  // namespace trainctl
