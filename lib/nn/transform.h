// Transforms of a batch of images, as ops of the program.
#pragma once

#include "graph/builder.h"
#include "schema/schema.h"

namespace trainctl {

/// One step between the data set and the model. One file each in lib/nn/transforms.
struct Transform {
  static constexpr const char* kind = "transform";
  virtual ~Transform() = default;
  /// x is f32 (batch, ...); random ones draw by builder.random_stream() (the caller sets a scope per transform) and
  /// builder.step().
  virtual Value build(Builder& builder, Value x) const = 0;
  /// Whether it draws; predictions of new data leave it out.
  virtual bool random() const { return false; }
};

}  // namespace trainctl
