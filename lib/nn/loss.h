// Losses: what training makes small.
#pragma once

#include "graph/builder.h"
#include "schema/schema.h"

namespace trainctl {

/// A loss of one output and one target. One file each in lib/nn/losses.
struct Loss {
  static constexpr const char* kind = "loss";
  virtual ~Loss() = default;
  /// An f32 scalar: the mean over the batch. Throws a config Error if output and target do not fit each other.
  virtual Value build(Builder& builder, Value output, Value target) const = 0;
  /// Whether targets are class numbers that index axis 1 of the output.
  virtual bool takes_classes() const { return false; }
};

}  // namespace trainctl
