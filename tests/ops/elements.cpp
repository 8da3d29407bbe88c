#include "ops/elements.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

namespace trainctl::test {
namespace {

float from_bf16(std::uint16_t bits) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}

/// To nearest, ties to even.
std::uint16_t to_bf16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if (std::isnan(value)) return static_cast<std::uint16_t>(bits >> 16 | 0x40);
  return static_cast<std::uint16_t>((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

template <typename T>
T load(const std::byte* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

template <typename T>
void store(std::byte* to, T value) {
  std::memcpy(to, &value, sizeof value);
}

/// Calls visit(element number in row-major order, offset in elements in the layout).
template <typename Visit>
void for_each_element(const TensorType& type, const Layout& layout, Visit visit) {
  std::int64_t index[Shape::max_rank] = {};
  for (std::int64_t i = 0; i < type.elements(); ++i) {
    visit(i, layout.row_major() ? static_cast<std::size_t>(i) : layout.offset(type, index));
    for (int axis = type.shape.rank(); axis-- > 0;) {
      if (++index[axis] < type.shape[axis]) break;
      index[axis] = 0;
    }
  }
}

}  // namespace

double load_element(const std::byte* from, DType dtype) {
  switch (dtype) {
    case DType::f32:
      return load<float>(from);
    case DType::bf16:
      return from_bf16(load<std::uint16_t>(from));
    case DType::f64:
      return load<double>(from);
    case DType::i32:
      return load<std::int32_t>(from);
    case DType::i64:
      return static_cast<double>(load<std::int64_t>(from));
    case DType::u8:
      return load<std::uint8_t>(from);
  }
  return 0.0;
}

void store_element(std::byte* to, double value, DType dtype) {
  switch (dtype) {
    case DType::f32:
      return store(to, static_cast<float>(value));
    case DType::bf16:
      return store(to, to_bf16(static_cast<float>(value)));
    case DType::f64:
      return store(to, value);
    case DType::i32:
      return store(to, static_cast<std::int32_t>(value));
    case DType::i64:
      return store(to, static_cast<std::int64_t>(value));
    case DType::u8:
      return store(to, static_cast<std::uint8_t>(value));
  }
}

double rounded(double value, DType dtype) {
  std::byte bytes[8];
  store_element(bytes, value, dtype);
  return load_element(bytes, dtype);
}

double epsilon(DType dtype) {
  if (dtype == DType::f32) return std::numeric_limits<float>::epsilon();
  if (dtype == DType::bf16) return 0x1p-7;
  return dtype == DType::f64 ? std::numeric_limits<double>::epsilon() : 0.0;
}

GuardedMemory::GuardedMemory(std::size_t bytes, std::byte fill, std::size_t offset)
    : bytes_(bytes), storage_(bytes + offset + 3 * guard, sentinel) {
  const auto address = reinterpret_cast<std::uintptr_t>(storage_.data());
  begin_ = guard + (guard - address % guard) % guard + offset;
  refill(fill);
}

void GuardedMemory::refill(std::byte fill) {
  std::fill_n(data(), bytes_, fill);
}

bool GuardedMemory::guards_intact() const {
  const auto is_sentinel = [](std::byte byte) { return byte == sentinel; };
  return std::all_of(storage_.begin(), storage_.begin() + static_cast<std::ptrdiff_t>(begin_), is_sentinel) &&
         std::all_of(storage_.begin() + static_cast<std::ptrdiff_t>(begin_ + bytes_), storage_.end(), is_sentinel);
}

void write_tensor(GuardedMemory& memory, const RefTensor& tensor, const TensorType& type, const Layout& layout) {
  memory.refill(std::byte{0});
  const std::size_t size = size_bytes(type.dtype);
  for_each_element(type, layout, [&](std::int64_t i, std::size_t at) {
    store_element(memory.data() + at * size, tensor[i], type.dtype);
  });
}

RefTensor read_tensor(const GuardedMemory& memory, const TensorType& type, const Layout& layout,
                      bool& padding_is_zero) {
  RefTensor tensor(type.shape);
  const std::size_t size = size_bytes(type.dtype);
  std::vector<std::byte> padding = memory.content();
  for_each_element(type, layout, [&](std::int64_t i, std::size_t at) {
    tensor[i] = load_element(memory.data() + at * size, type.dtype);
    std::fill_n(padding.begin() + static_cast<std::ptrdiff_t>(at * size), size, std::byte{0});
  });
  padding_is_zero = std::ranges::all_of(padding, [](std::byte byte) { return byte == std::byte{0}; });
  return tensor;
}

}  // namespace trainctl::test
