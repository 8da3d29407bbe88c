// TensorBoard's event files: TFRecord framing around protobuf messages (tensorflow/core/util/event.proto,
// tensorflow/core/framework/summary.proto), written and read by ourselves.
//
// A record is: length (u64), masked CRC-32C of the length (u32), the message, masked CRC-32C of the message (u32), all
// little endian. The first message of a file holds the version "brain.Event:2".
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace trainctl {

/// CRC-32C (Castagnoli, RFC 3720) of a text.
std::uint32_t crc32c(std::string_view bytes);

/// Numbers counted in bins. Numbers that are not finite are left out.
struct Histogram {
  double min = 0.0, max = 0.0;
  double count = 0.0, sum = 0.0, sum_squares = 0.0;
  std::vector<double> limits;  ///< the upper end of each bin; the first begins at min
  std::vector<double> counts;

  /// `bins` bins of one width from the smallest to the largest of `values`; one bin where all are equal, none without
  /// values.
  static Histogram of(std::span<const float> values, int bins);
};

/// What one event holds. Scalars and histograms go to TensorBoard under their names ("train/loss").
struct SummaryEvent {
  double wall_time_s = 0.0;  ///< since 1970
  std::int64_t step = 0;
  std::vector<std::pair<std::string, double>> scalars = {};
  std::vector<std::pair<std::string, Histogram>> histograms = {};
};

/// Framed records, to be appended to a file.
std::string version_record(double wall_time_s);
/// Tells readers that what they have seen of `step` and later is superseded.
std::string restart_record(double wall_time_s, std::int64_t step);
std::string summary_record(const SummaryEvent& event);

/// A whole record of a file.
struct EventRecord {
  std::int64_t step = 0;
  std::string_view first_name;  ///< of its first scalar or histogram; empty if it has none
  std::size_t end = 0;          ///< where the record ends in the text
};
/// The record that begins at `begin`; nothing if it is torn or damaged.
std::optional<EventRecord> read_event(std::string_view text, std::size_t begin);

}  // namespace trainctl
