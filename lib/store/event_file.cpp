#include "store/event_file.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

namespace trainctl {
namespace {

constexpr std::size_t header_bytes = 12;
constexpr std::size_t frame_bytes = header_bytes + 4;

constexpr std::array<std::uint32_t, 256> make_crc_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = (crc & 1) ? (crc >> 1) ^ 0x82f63b78u : crc >> 1;
    table[i] = crc;
  }
  return table;
}
constexpr auto crc_table = make_crc_table();

/// TFRecord's mask: a CRC of data that holds CRCs is weak.
std::uint32_t masked(std::uint32_t crc) {
  return std::rotr(crc, 15) + 0xa282ead8u;
}

static_assert(std::endian::native == std::endian::little, "records are written as they lie in memory");
template <typename T>
void put(std::string& to, T value) {
  to.append(reinterpret_cast<const char*>(&value), sizeof value);
}
template <typename T>
T get(std::string_view from, std::size_t at) {
  T value;
  std::memcpy(&value, from.data() + at, sizeof value);
  return value;
}

std::string framed(const std::string& message) {
  std::string record;
  put(record, static_cast<std::uint64_t>(message.size()));
  put(record, masked(crc32c(record)));
  record += message;
  put(record, masked(crc32c(message)));
  return record;
}

/// A protobuf message in the making.
class Message {
 public:
  Message& integer(int field, std::uint64_t value) { return tag(field, 0).varint(value); }
  Message& number(int field, double value) {
    tag(field, 1);
    put(bytes_, value);
    return *this;
  }
  Message& number(int field, float value) {
    tag(field, 5);
    put(bytes_, value);
    return *this;
  }
  Message& text(int field, std::string_view value) {
    tag(field, 2).varint(value.size());
    bytes_ += value;
    return *this;
  }
  Message& packed(int field, const std::vector<double>& values) {
    return text(field, {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(double)});
  }
  const std::string& bytes() const { return bytes_; }

 private:
  Message& tag(int field, int type) { return varint(static_cast<std::uint64_t>(field) << 3 | type); }
  Message& varint(std::uint64_t value) {
    for (; value >= 0x80; value >>= 7) bytes_ += static_cast<char>(value | 0x80);
    bytes_ += static_cast<char>(value);
    return *this;
  }
  std::string bytes_;
};

/// The fields of a message, one after another.
class Fields {
 public:
  explicit Fields(std::string_view bytes) : bytes_(bytes) {}
  /// The next field; false at the end, or where no field can be read.
  bool next() {
    std::uint64_t key = 0;
    if (!varint(key)) return false;
    field = static_cast<int>(key >> 3);
    switch (key & 7) {
      case 0:
        return varint(integer);
      case 1:
        return take(8);
      case 2: {
        std::uint64_t size = 0;
        return varint(size) && take(size);
      }
      case 5:
        return take(4);
      default:
        return false;
    }
  }
  int field = 0;
  std::uint64_t integer = 0;
  std::string_view text;

 private:
  bool varint(std::uint64_t& value) {
    value = 0;
    for (int shift = 0; shift < 64 && !bytes_.empty(); shift += 7) {
      const auto byte = static_cast<unsigned char>(bytes_.front());
      bytes_.remove_prefix(1);
      value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) return true;
    }
    return false;
  }
  bool take(std::uint64_t size) {
    if (size > bytes_.size()) return false;
    text = bytes_.substr(0, size);
    bytes_.remove_prefix(size);
    return true;
  }
  std::string_view bytes_;
};

std::string histogram_bytes(const Histogram& histogram) {
  Message message;
  message.number(1, histogram.min).number(2, histogram.max).number(3, histogram.count);
  message.number(4, histogram.sum).number(5, histogram.sum_squares);
  return message.packed(6, histogram.limits).packed(7, histogram.counts).bytes();
}

std::string_view first_name(std::string_view summary) {
  for (Fields values(summary); values.next();) {
    if (values.field != 1) continue;
    for (Fields value(values.text); value.next();) {
      if (value.field == 1) return value.text;
    }
  }
  return {};
}

}  // namespace

std::uint32_t crc32c(std::string_view bytes) {
  std::uint32_t crc = ~0u;
  for (const char byte : bytes) crc = crc >> 8 ^ crc_table[(crc ^ static_cast<unsigned char>(byte)) & 0xff];
  return ~crc;
}

Histogram Histogram::of(std::span<const float> values, int bins) {
  Histogram result;
  double low = std::numeric_limits<double>::infinity(), high = -low;
  for (const double value : values) {
    if (!std::isfinite(value)) continue;
    low = std::min(low, value);
    high = std::max(high, value);
    result.count += 1;
    result.sum += value;
    result.sum_squares += value * value;
  }
  if (result.count == 0.0) return result;
  result.min = low;
  result.max = high;
  if (low == high) bins = 1;
  const double width = (high - low) / bins;
  for (int i = 1; i <= bins; ++i) result.limits.push_back(i == bins ? high : low + width * i);
  result.counts.assign(bins, 0.0);
  for (const double value : values) {
    if (!std::isfinite(value)) continue;
    const int bin = width > 0.0 ? static_cast<int>((value - low) / width) : 0;
    result.counts[std::clamp(bin, 0, bins - 1)] += 1;
  }
  return result;
}

std::string version_record(double wall_time_s) {
  return framed(Message().number(1, wall_time_s).text(3, "brain.Event:2").bytes());
}

std::string restart_record(double wall_time_s, std::int64_t step) {
  constexpr std::uint64_t start = 1;  // SessionLog.START
  const Message log = Message().integer(1, start);
  return framed(
      Message().number(1, wall_time_s).integer(2, static_cast<std::uint64_t>(step)).text(7, log.bytes()).bytes());
}

std::string summary_record(const SummaryEvent& event) {
  Message summary;
  for (const auto& [name, value] : event.scalars)
    summary.text(1, Message().text(1, name).number(2, static_cast<float>(value)).bytes());
  for (const auto& [name, histogram] : event.histograms)
    summary.text(1, Message().text(1, name).text(5, histogram_bytes(histogram)).bytes());
  Message message;
  message.number(1, event.wall_time_s).integer(2, static_cast<std::uint64_t>(event.step));
  return framed(message.text(5, summary.bytes()).bytes());
}

std::optional<EventRecord> read_event(std::string_view text, std::size_t begin) {
  if (begin > text.size() || text.size() - begin < frame_bytes) return {};
  const auto size = get<std::uint64_t>(text, begin);
  if (get<std::uint32_t>(text, begin + 8) != masked(crc32c(text.substr(begin, 8)))) return {};
  if (size > text.size() - begin - frame_bytes) return {};
  const std::string_view message = text.substr(begin + header_bytes, size);
  if (get<std::uint32_t>(text, begin + header_bytes + size) != masked(crc32c(message))) return {};
  EventRecord record{.step = 0, .first_name = {}, .end = begin + frame_bytes + size};
  for (Fields event(message); event.next();) {
    if (event.field == 2) record.step = static_cast<std::int64_t>(event.integer);
    if (event.field == 5) record.first_name = first_name(event.text);
  }
  return record;
}

}  // namespace trainctl
