#include "kernels/cpu/loops/channel_layout.h"

#include <algorithm>

namespace trainctl::cpu {
namespace {

/// By channels where that gives each thread as much (nothing to combine, and a channel stays in one cache), the rest
/// over the outer pieces.
void share(ChannelView& view, int threads) {
  const long pieces = view.outer * view.groups * std::max<long>(view.rows * view.lanes, 1);
  view.group_parts = view.outer_parts = 1;
  if (pieces < 16384) return;
  for (int parts = std::max(threads, 1); parts > 0; --parts) {
    if (threads % parts != 0) continue;
    if (view.groups % parts == 0 || view.groups >= 8 * parts) {
      view.group_parts = parts;
      break;
    }
  }
  view.outer_parts = static_cast<int>(std::min<long>(threads / view.group_parts, view.outer));
}

}  // namespace

std::optional<ActivationLayout> activation_layout(const Layout& layout, int rank) {
  if (layout.row_major()) return ActivationLayout{Arrangement::row_major};
  if (rank < 2) return std::nullopt;
  const Layout::Parsed parsed = layout.parse(rank);
  const bool in_order = std::ranges::is_sorted(parsed.order);
  if (parsed.blocks.empty()) {
    if (in_order) return ActivationLayout{Arrangement::row_major};
    const bool last = parsed.order.back() == 1 && std::is_sorted(parsed.order.begin(), parsed.order.end() - 1);
    return last ? std::optional(ActivationLayout{Arrangement::channels_last}) : std::nullopt;
  }
  if (!in_order || parsed.blocks.size() != 1) return std::nullopt;
  const auto [axis, size] = parsed.blocks[0];
  if (axis == 1 && (size == 8 || size == 16)) return ActivationLayout{Arrangement::channel_blocks, size};
  if (axis == 0 && size == 16) return ActivationLayout{Arrangement::sample_blocks, size};
  return std::nullopt;
}

std::optional<ChannelView> channel_view(const Layout& layout, const Shape& shape, int threads) {
  auto found = activation_layout(layout, shape.rank());
  if (!found || shape.rank() < 2) return std::nullopt;
  const long samples = shape[0], channels = shape[1], space = shape.slice(2).elements();
  // A matrix (N, C) has its channels last.
  if (found->arrangement == Arrangement::row_major && space == 1) found->arrangement = Arrangement::channels_last;
  ChannelView view{};
  view.channels = channels;
  view.count = samples * space;
  view.total_rows = samples * space;
  view.lanes = 1;
  view.valid = 16;
  switch (found->arrangement) {
    case Arrangement::row_major:
      view.runs = true;
      view.outer = samples, view.groups = channels, view.rows = space;
      view.outer_stride = channels * space, view.group_stride = space;
      break;
    case Arrangement::sample_blocks:
      view.runs = true;
      view.outer = (samples + 15) / 16, view.groups = channels, view.rows = space * 16;
      view.outer_stride = channels * space * 16, view.group_stride = space * 16;
      view.valid = samples % 16 == 0 ? 16 : static_cast<int>(samples % 16);
      break;
    case Arrangement::channel_blocks:
      view.lanes = static_cast<int>(found->block);
      view.outer = samples, view.groups = (channels + view.lanes - 1) / view.lanes, view.rows = space;
      view.row_stride = view.lanes, view.group_stride = space * view.lanes,
      view.outer_stride = view.groups * view.group_stride;
      break;
    case Arrangement::channels_last:
      view.lanes = static_cast<int>(std::min<long>(channels, most_lanes));
      view.groups = (channels + view.lanes - 1) / view.lanes;
      view.rows = 64, view.outer = (view.total_rows + 63) / 64;
      view.row_stride = channels, view.group_stride = view.lanes, view.outer_stride = 64 * channels;
      break;
  }
  share(view, threads);
  return view;
}

}  // namespace trainctl::cpu
