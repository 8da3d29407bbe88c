#include "device/layout.h"

#include <cctype>

#include "base/error.h"

namespace trainctl {
namespace {

/// Extent of an axis rounded up to the product of its inner blocks.
std::int64_t padded(const Layout::Parsed& parsed, const Shape& shape, int axis, std::int64_t* block_product) {
  std::int64_t product = 1;
  for (const auto& block : parsed.blocks) {
    if (block.axis == axis) product *= block.size;
  }
  if (block_product) *block_product = product;
  return (shape[axis] + product - 1) / product * product;
}

}  // namespace

Layout::Parsed Layout::parse(int rank) const {
  Parsed parsed;
  if (tag_.empty()) {
    for (int axis = 0; axis < rank; ++axis) parsed.order.push_back(axis);
    return parsed;
  }
  std::size_t at = 0;
  for (; at < tag_.size() && std::isalpha(static_cast<unsigned char>(tag_[at])); ++at) {
    parsed.order.push_back(std::tolower(tag_[at]) - 'a');
  }
  while (at < tag_.size()) {
    std::int64_t size = 0;
    while (at < tag_.size() && std::isdigit(static_cast<unsigned char>(tag_[at])))
      size = size * 10 + (tag_[at++] - '0');
    require(at < tag_.size() && size > 0, "malformed layout tag");
    parsed.blocks.push_back({tag_[at++] - 'a', size});
  }
  require(static_cast<int>(parsed.order.size()) == rank, "layout tag and tensor differ in rank");
  return parsed;
}

std::size_t Layout::bytes(const TensorType& type) const {
  if (row_major()) return type.bytes();
  const Parsed parsed = parse(type.shape.rank());
  std::size_t elements = 1;
  for (int axis = 0; axis < type.shape.rank(); ++axis) elements *= padded(parsed, type.shape, axis, nullptr);
  return elements * size_bytes(type.dtype);
}

bool Layout::same_places(const Shape& shape, const Layout& other) const {
  if (*this == other) return true;
  Parsed mine = parse(shape.rank()), others = other.parse(shape.rank());
  if (!mine.blocks.empty() || !others.blocks.empty()) return false;
  const auto is_one = [&](int axis) { return shape[axis] == 1; };
  std::erase_if(mine.order, is_one);
  std::erase_if(others.order, is_one);
  return mine.order == others.order;
}

std::size_t Layout::offset(const TensorType& type, const std::int64_t* index) const {
  const int rank = type.shape.rank();
  const Parsed parsed = parse(rank);
  std::size_t offset = 0;
  for (const int axis : parsed.order) {
    std::int64_t block = 1;
    const std::int64_t extent = padded(parsed, type.shape, axis, &block);
    offset = offset * (extent / block) + index[axis] / block;
  }
  // Within an axis that is blocked more than once the outer block holds the higher digits.
  for (std::size_t i = 0; i < parsed.blocks.size(); ++i) {
    std::int64_t inner = 1;
    for (std::size_t j = i + 1; j < parsed.blocks.size(); ++j) {
      if (parsed.blocks[j].axis == parsed.blocks[i].axis) inner *= parsed.blocks[j].size;
    }
    offset = offset * parsed.blocks[i].size + index[parsed.blocks[i].axis] / inner % parsed.blocks[i].size;
  }
  return offset;
}

}  // namespace trainctl
