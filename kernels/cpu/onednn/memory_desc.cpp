#include "kernels/cpu/onednn/memory_desc.h"

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "base/error.h"

namespace trainctl::onednn {
namespace {

/// Physical order without its names: outer extent and stride of each axis, and the inner blocks.
struct Order {
  std::vector<std::int64_t> outer, strides;
  std::vector<Layout::Block> blocks;
};

std::optional<Order> order_of(const dnnl_memory_desc_t& md) {
  if (md.format_kind != dnnl_blocked || md.offset0 != 0 || md.extra.flags != 0) return std::nullopt;
  const auto& blocking = md.format_desc.blocking;
  Order order;
  std::vector<std::int64_t> block(md.ndims, 1);
  for (int i = 0; i < blocking.inner_nblks; ++i) {
    order.blocks.push_back({static_cast<int>(blocking.inner_idxs[i]), blocking.inner_blks[i]});
    block[blocking.inner_idxs[i]] *= blocking.inner_blks[i];
  }
  for (int axis = 0; axis < md.ndims; ++axis) {
    order.outer.push_back(md.padded_dims[axis] / block[axis]);
    order.strides.push_back(blocking.strides[axis]);
  }
  return order;
}

/// (G, O/G, ...) as (O, ...): possible if O/G fills its blocks and lies right inside of G.
bool merge_groups(Order& order, const dnnl_memory_desc_t& md) {
  if (order.outer[1] * order.strides[1] != order.strides[0] && order.outer[0] > 1 && order.outer[1] > 1) return false;
  const bool group_blocked = std::ranges::any_of(order.blocks, [](const auto& block) { return block.axis == 0; });
  if (group_blocked ? md.dims[1] != 1 || order.outer[1] != 1 : md.padded_dims[1] != md.dims[1]) return false;
  if (order.outer[1] > 1) order.strides[0] = order.strides[1];
  order.outer[0] *= order.outer[1];
  order.outer.erase(order.outer.begin() + 1);
  order.strides.erase(order.strides.begin() + 1);
  for (Layout::Block& block : order.blocks) block.axis = std::max(0, block.axis - 1);
  return true;
}

/// Blocks of extents that add nothing ("1") are dropped; the tag nearest to row-major is taken.
std::optional<Layout> tag_of(const Order& order) {
  const int rank = static_cast<int>(order.outer.size());
  std::vector<int> axes;
  for (int axis = 0; axis < rank; ++axis) {
    if (order.outer[axis] > 1) axes.push_back(axis);
  }
  std::ranges::sort(axes, [&](int a, int b) { return order.strides[a] > order.strides[b]; });
  std::int64_t stride = 1;
  for (const auto& block : order.blocks) stride *= block.size;
  for (auto axis = axes.rbegin(); axis != axes.rend(); ++axis) {
    if (order.strides[*axis] != stride) return std::nullopt;  // not dense
    stride *= order.outer[*axis];
  }
  // Axes of extent 1 may stand anywhere: each right after its left neighbour, so that what is row-major reads so.
  for (int axis = 0; axis < rank; ++axis) {
    if (order.outer[axis] == 1) axes.insert(axis == 0 ? axes.begin() : std::ranges::find(axes, axis - 1) + 1, axis);
  }
  if (order.blocks.empty() && std::ranges::is_sorted(axes)) return Layout();
  std::string tag;
  for (const int axis : axes) {
    const bool is_blocked = std::ranges::any_of(order.blocks, [&](const auto& block) { return block.axis == axis; });
    tag += static_cast<char>((is_blocked ? 'A' : 'a') + axis);
  }
  for (const auto& block : order.blocks) tag += std::to_string(block.size) + static_cast<char>('a' + block.axis);
  return Layout(tag);
}

}  // namespace

std::optional<dnnl::memory::data_type> data_type(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return dnnl::memory::data_type::f32;
    case DType::bf16:
      return dnnl::memory::data_type::bf16;
    case DType::i32:
      return dnnl::memory::data_type::s32;
    case DType::u8:
      return dnnl::memory::data_type::u8;
    case DType::f64:
    case DType::i64:
      break;
  }
  return std::nullopt;
}

dnnl::memory::dims dims_of(const Shape& shape) {
  return {shape.begin(), shape.end()};
}

dnnl::memory::desc described(const TensorType& type, const Layout& layout) {
  const int rank = type.shape.rank();
  const Layout::Parsed parsed = layout.parse(rank);
  dnnl::memory::dims row_major(rank, 1);
  for (int axis = rank - 2; axis >= 0; --axis) row_major[axis] = row_major[axis + 1] * type.shape[axis + 1];
  dnnl::memory::desc md(dims_of(type.shape), *data_type(type.dtype), row_major);
  if (layout.row_major()) return md;
  auto& blocking = md.data.format_desc.blocking;
  std::array<std::int64_t, Shape::max_rank> block{};
  block.fill(1);
  std::int64_t stride = 1;
  blocking.inner_nblks = static_cast<int>(parsed.blocks.size());
  for (std::size_t i = 0; i < parsed.blocks.size(); ++i) {
    blocking.inner_idxs[i] = parsed.blocks[i].axis;
    blocking.inner_blks[i] = parsed.blocks[i].size;
    block[parsed.blocks[i].axis] *= parsed.blocks[i].size;
    stride *= parsed.blocks[i].size;
  }
  for (int i = rank - 1; i >= 0; --i) {
    const int axis = parsed.order[i];
    const std::int64_t outer = (type.shape[axis] + block[axis] - 1) / block[axis];
    md.data.padded_dims[axis] = outer * block[axis];
    blocking.strides[axis] = stride;
    stride *= outer;
  }
  return md;
}

std::optional<Layout> layout_of(const dnnl::memory::desc& md, const Shape& shape) {
  std::optional<Order> order = order_of(md.data);
  if (!order) return std::nullopt;
  if (md.data.ndims == shape.rank() + 1 && !merge_groups(*order, md.data)) return std::nullopt;
  require(static_cast<int>(order->outer.size()) == shape.rank(), "a descriptor and a shape differ in rank");
  return tag_of(*order);
}

}  // namespace trainctl::onednn
