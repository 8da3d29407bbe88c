// From layouts of activations to the views that loops walk.
#pragma once

#include <optional>

#include "device/layout.h"
#include "kernels/cpu/loops/channel_view.h"

namespace trainctl::cpu {

/// How activations (N, C, ...) lie, as far as loops tell them apart.
enum class Arrangement { row_major, channels_last, channel_blocks, sample_blocks };

struct ActivationLayout {
  Arrangement arrangement;
  long block = 1;  ///< of channel_blocks and sample_blocks
};

/// Nothing for other layouts, and for sample blocks other than 16.
std::optional<ActivationLayout> activation_layout(const Layout& layout, int rank);

/// A view whose pieces are shared among up to `threads` threads; nothing where activation_layout() gives nothing.
std::optional<ChannelView> channel_view(const Layout& layout, const Shape& shape, int threads);

}  // namespace trainctl::cpu
