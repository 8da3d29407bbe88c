// What the checkpoint's reader and writer share of HDF5's C API. For .cpp files only.
#pragma once

#define H5_USE_110_API  // the calls as of HDF5 1.10, which newer libraries still offer
#include <hdf5.h>

#include <array>
#include <string>
#include <utility>

#include "device/types.h"

namespace trainctl::hdf5 {

/// Size of the text in front of a checkpoint, which HDF5 calls the user block.
inline constexpr std::size_t user_block_bytes = 512;

/// Owns one reference to an HDF5 object of any kind.
class Handle {
 public:
  Handle() = default;
  explicit Handle(hid_t id) : id_(id) {}
  Handle(Handle&& other) noexcept : id_(std::exchange(other.id_, H5I_INVALID_HID)) {}
  Handle& operator=(Handle&& other) noexcept {
    std::swap(id_, other.id_);
    return *this;
  }
  ~Handle() {
    if (id_ >= 0) H5Idec_ref(id_);
  }
  hid_t get() const { return id_; }
  explicit operator bool() const { return id_ >= 0; }

 private:
  hid_t id_ = H5I_INVALID_HID;
};

/// To be called first by every entry into HDF5: no messages on stderr (the setting is per thread), no plugins from
/// anywhere.
void prepare();

/// The innermost message on HDF5's error stack of this thread; the stack is cleared.
std::string reason();

/// The little-endian type of a file for an element type; invalid for one that is not stored.
hid_t file_type(DType dtype);

/// The element types that checkpoints hold.
inline constexpr std::array stored_dtypes{DType::f32, DType::f64, DType::i32, DType::i64, DType::u8};

/// The paths of the texts, in the order of CheckpointContents. Those before `required_texts` must be there.
inline constexpr std::array text_paths{"experiment", "history", "state/scalars", "fields", "choices"};
inline constexpr std::size_t required_texts = 3;

}  // namespace trainctl::hdf5
