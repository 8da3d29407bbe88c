// Physical order of a tensor's elements.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "device/types.h"

namespace trainctl {

/// How a tensor's elements lie in memory, in oneDNN's notation: axes are letters (a = axis 0) from outermost to
/// innermost, an upper-case letter is an axis that is also blocked, and the inner blocks follow. Empty means row-major,
/// whatever the rank.
///   ""            row-major (NCHW for images)
///   "acdb"        channels last (NHWC)
///   "aBcd16b"     channels in blocks of 16 (nChw16c)
///   "Abcd16a"     samples in blocks of 16
/// A blocked axis is padded with zeros to a multiple of its block.
class Layout {
 public:
  Layout() = default;
  explicit Layout(std::string_view tag) : tag_(tag) {}

  bool row_major() const { return tag_.empty(); }
  const std::string& tag() const { return tag_; }

  struct Block {
    int axis;
    std::int64_t size;
  };
  struct Parsed {
    std::vector<int> order;     ///< axes, outermost first
    std::vector<Block> blocks;  ///< inner blocks, outermost first
  };
  /// The notation taken apart for a tensor of `rank` axes; an internal Error if it does not fit.
  Parsed parse(int rank) const;
  /// Bytes that a tensor takes in this layout, padding included.
  std::size_t bytes(const TensorType& type) const;
  /// Whether a tensor's elements lie in the same places in the other layout: axes of extent 1 may stand anywhere.
  bool same_places(const Shape& shape, const Layout& other) const;
  /// Offset in elements of the element at `index` (one entry an axis). Slow: for tests and the reference reorder.
  std::size_t offset(const TensorType& type, const std::int64_t* index) const;

  friend bool operator==(const Layout&, const Layout&) = default;

 private:
  std::string tag_;
};

}  // namespace trainctl
