// Elements of any type as doubles, and tensors in memory of any layout.
#pragma once

#include <cstddef>
#include <vector>

#include "device/layout.h"
#include "device/types.h"
#include "graph/op.h"

namespace trainctl::test {

/// The value rounded to the element type.
double rounded(double value, DType dtype);
double load_element(const std::byte* from, DType dtype);
void store_element(std::byte* to, double value, DType dtype);
/// Distance from 1 to the next number, for types of floating point; 0 for integers.
double epsilon(DType dtype);

/// A tensor in memory between two guard zones of 64 bytes, beginning at a multiple of 64 or `offset` bytes beyond.
class GuardedMemory {
 public:
  /// Every byte is `fill`.
  GuardedMemory(std::size_t bytes, std::byte fill, std::size_t offset = 0);

  /// Everything, guards included, and where the memory proper begins in it: for a copy on a device.
  std::vector<std::byte>& storage() { return storage_; }
  std::size_t begin() const { return begin_; }
  std::byte* data() { return storage_.data() + begin_; }
  const std::byte* data() const { return storage_.data() + begin_; }
  std::size_t bytes() const { return bytes_; }
  bool guards_intact() const;
  std::vector<std::byte> content() const { return {data(), data() + bytes_}; }
  void refill(std::byte fill);

 private:
  static constexpr std::size_t guard = 64;
  static constexpr std::byte sentinel{0xA5};
  std::size_t bytes_;
  std::size_t begin_ = 0;
  std::vector<std::byte> storage_;
};

/// Writes the tensor in a layout; padding becomes zero.
void write_tensor(GuardedMemory& memory, const RefTensor& tensor, const TensorType& type, const Layout& layout);
/// Reads it back. `padding_is_zero` tells whether all bytes outside of the elements are zero.
RefTensor read_tensor(const GuardedMemory& memory, const TensorType& type, const Layout& layout, bool& padding_is_zero);

}  // namespace trainctl::test
