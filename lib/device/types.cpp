#include "device/types.h"

#include <algorithm>

#include "base/error.h"

namespace trainctl {
namespace {

struct DTypeInfo {
  std::string_view name;
  std::size_t bytes;
};
constexpr std::array<DTypeInfo, 6> dtypes{{{"f32", 4}, {"bf16", 2}, {"f64", 8}, {"i32", 4}, {"i64", 8}, {"u8", 1}}};

}  // namespace

std::string_view name(DType dtype) {
  return dtypes[static_cast<std::size_t>(dtype)].name;
}

DType dtype_from_name(std::string_view name) {
  for (std::size_t i = 0; i < dtypes.size(); ++i) {
    if (dtypes[i].name == name) return static_cast<DType>(i);
  }
  fail(ErrorKind::data, "unknown element type '{}'", name);
}

std::size_t size_bytes(DType dtype) {
  return dtypes[static_cast<std::size_t>(dtype)].bytes;
}

Shape::Shape(std::initializer_list<std::int64_t> dims) : Shape(std::span(dims.begin(), dims.size())) {}

Shape::Shape(std::span<const std::int64_t> dims) {
  for (const std::int64_t extent : dims) push_back(extent);
}

void Shape::push_back(std::int64_t extent) {
  if (rank_ == max_rank) fail(ErrorKind::config, "a tensor has at most {} axes", max_rank);
  dims_[rank_++] = extent;
}

std::int64_t Shape::elements() const {
  std::int64_t product = 1;
  for (const std::int64_t extent : *this) product *= extent;
  return product;
}

Shape Shape::slice(int from, int to) const {
  if (to < 0) to += rank_;
  return Shape(dims().subspan(from, std::max(0, to - from)));
}

std::string Shape::text() const {
  std::string out = "(";
  for (int axis = 0; axis < rank_; ++axis) out += fmt::format("{}{}", axis ? ", " : "", dims_[axis]);
  return out + ")";
}

bool operator==(const Shape& a, const Shape& b) {
  return std::ranges::equal(a.dims(), b.dims());
}

std::string TensorType::text() const {
  return std::string(name(dtype)) + shape.text();
}

}  // namespace trainctl
