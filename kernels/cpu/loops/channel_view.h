// A tensor in memory as per-channel loops see it.
#pragma once

namespace trainctl::cpu {

/// `outer` x `groups` pieces of a tensor (N, C, ...), each of which lies at outer * outer_stride + group *
/// group_stride. Runs (row-major, samples in blocks): a piece is one channel, `rows` elements together; of the last
/// outer piece only `valid` of every 16 count (the rest is padding). Lanes (channels last, channels in blocks): a piece
/// is `rows` rows of `lanes` channels, `row_stride` apart; the last outer piece ends where `total_rows` do.
struct ChannelView {
  bool runs;
  long outer, groups, rows;
  long outer_stride, group_stride, row_stride;
  long total_rows;
  int lanes;
  int valid;
  long channels;
  long count;  ///< elements of a channel, padding not counted
  /// How threads share the pieces: group_parts * outer_parts of them.
  int group_parts, outer_parts;
};

/// Most channels in one group.
constexpr int most_lanes = 64;

}  // namespace trainctl::cpu
