// Element types, shapes and views: what a tensor is, apart from who owns its memory.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>

namespace trainctl {

/// Element type of a tensor. `u8` holds image bytes, `i32`/`i64` labels, counters and indices.
enum class DType : std::uint8_t { f32, bf16, f64, i32, i64, u8 };

/// "f32", "bf16", ...
std::string_view name(DType dtype);
/// The inverse of name(); throws a data Error on an unknown name.
DType dtype_from_name(std::string_view name);
/// Bytes of one element.
std::size_t size_bytes(DType dtype);

/// Extents of a tensor, outermost first, at most `max_rank` of them. Rank 0 is a scalar. Row-major unless a Layout says
/// otherwise.
class Shape {
 public:
  static constexpr int max_rank = 6;

  Shape() = default;
  Shape(std::initializer_list<std::int64_t> dims);
  /// Throws a config Error if there are more than max_rank extents.
  explicit Shape(std::span<const std::int64_t> dims);

  int rank() const { return rank_; }
  /// Extent of one axis; negative axes count from the end, as in dim(-1).
  std::int64_t dim(int axis) const { return dims_[axis < 0 ? axis + rank_ : axis]; }
  std::int64_t operator[](int axis) const { return dim(axis); }
  void set_dim(int axis, std::int64_t extent) { dims_[axis < 0 ? axis + rank_ : axis] = extent; }
  /// Appends an innermost axis.
  void push_back(std::int64_t extent);
  std::span<const std::int64_t> dims() const { return {dims_.data(), static_cast<std::size_t>(rank_)}; }
  auto begin() const { return dims_.begin(); }
  auto end() const { return dims_.begin() + rank_; }

  /// The product of the extents; 1 for a scalar.
  std::int64_t elements() const;
  /// Axes [from, to) as a shape; `to` < 0 counts from the end, and by default all that follow `from`.
  Shape slice(int from, int to) const;
  Shape slice(int from) const { return slice(from, rank_); }
  /// "(128, 1, 28, 28)"
  std::string text() const;

  friend bool operator==(const Shape& a, const Shape& b);

 private:
  std::array<std::int64_t, max_rank> dims_{};
  int rank_ = 0;
};

/// Element type and shape: all that is known of a tensor before it has memory.
struct TensorType {
  DType dtype = DType::f32;
  Shape shape;

  std::int64_t elements() const { return shape.elements(); }
  std::size_t bytes() const { return static_cast<std::size_t>(elements()) * size_bytes(dtype); }
  /// "f32(128, 10)"
  std::string text() const;
  friend bool operator==(const TensorType&, const TensorType&) = default;
};

/// Types of an op's operands; one that was left out is null.
using InputTypes = std::span<const TensorType* const>;

/// A tensor's type and where its memory is. Owns nothing.
struct TensorView {
  TensorType type;
  void* data = nullptr;

  template <typename T>
  T* as() const {
    return static_cast<T*>(data);
  }
};

}  // namespace trainctl
