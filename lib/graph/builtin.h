// The ops that the planner itself knows: views, packing and reordering.
#pragma once

#include <string>
#include <vector>

#include "device/attributes.h"
#include "device/layout.h"
#include "device/types.h"

namespace trainctl {

/// "reshape": the same elements in row-major order under another shape.
struct ReshapeAttributes final : Attributes {
  Shape shape;
  explicit ReshapeAttributes(Shape shape_) : shape(shape_) {}
  std::string text() const override { return shape.text(); }
};

/// "pack": the inputs (f32, any shapes) at given element offsets of one vector; zero between them.
struct PackAttributes final : Attributes {
  std::int64_t total = 0;
  std::vector<std::int64_t> offsets;
  int group = -1;  ///< of state, in the layouts of whose members the inputs are to lie; -1: row-major
  std::string text() const override;
};

/// "reorder": the same tensor in another layout. The planner inserts it; no graph is built with it.
struct ReorderAttributes final : Attributes {
  Layout from, to;
  ReorderAttributes(Layout from_, Layout to_) : from(std::move(from_)), to(std::move(to_)) {}
  std::string text() const override { return from.tag() + "->" + to.tag(); }
};

}  // namespace trainctl
