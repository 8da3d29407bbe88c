// Host memory that a dataset or a staging ring owns.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <span>

namespace trainctl {

/// Uninitialised host memory, aligned to a cache line; moves only. Large blocks ask for huge pages, which halves the
/// time to fill them. Throws an environment Error where memory is short.
class HostBytes {
 public:
  static constexpr std::size_t alignment = 64;

  HostBytes() = default;
  /// With `whole_pages` nothing else lies on its pages, so that they can be pinned.
  explicit HostBytes(std::size_t size, bool whole_pages = false);
  HostBytes(HostBytes&&) noexcept = default;
  HostBytes& operator=(HostBytes&&) noexcept = default;

  std::byte* data() { return data_.get(); }
  const std::byte* data() const { return data_.get(); }
  std::size_t size() const { return size_; }
  std::span<std::byte> span() { return {data(), size_}; }
  std::span<const std::byte> span() const { return {data(), size_}; }

 private:
  struct Free {
    void operator()(std::byte* p) const { std::free(p); }
  };
  std::unique_ptr<std::byte[], Free> data_;
  std::size_t size_ = 0;
};

}  // namespace trainctl
