// NumPy's .npy arrays, format versions 1 to 3 (numpy.lib.format).
#pragma once

#include <filesystem>
#include <memory>

#include "data/array.h"

namespace trainctl {

/// Opens a .npy file in C order, little-endian. Elements u1, i4, i8 and f4 stay what they are, f8 becomes f32.
/// Throws a data Error with the offset: wrong magic, a damaged header, a type or order that is not handled, a length
/// that does not fit the header.
std::unique_ptr<ArrayFile> open_npy(const std::filesystem::path& path);

}  // namespace trainctl
