// IDX arrays (the format of MNIST; LeCun, Cortes, Burges): raw or gzip.
#pragma once

#include <filesystem>
#include <memory>

#include "data/array.h"

namespace trainctl {

/// Opens an IDX file, raw or gzip by its first bytes. Elements u8 stay, i8/i16/i32 become i32, f32/f64 become f32 (the
/// file is big-endian). An array of images (N, H, W) is given as (N, 1, H, W). Throws a data Error with the offset:
/// wrong magic number, unknown type, extents that do not fit the file's length.
std::unique_ptr<ArrayFile> open_idx(const std::filesystem::path& path);

}  // namespace trainctl
