// Arrays in HDF5 files that users bring.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "data/array.h"

namespace trainctl {

/// Opens the HDF5 dataset `name` ("group/x") of a file. Integers of up to 8, 32 and 64 bits are given as u8 (unsigned),
/// i32 and i64, floats as f32, of any byte order. Contiguous, compact or chunked storage, with deflate, shuffle and
/// checksum. Throws a data Error: not HDF5, no such dataset, soft or external links, external or virtual storage, other
/// filters, or extents that the stored bytes cannot fill.
std::unique_ptr<ArrayFile> open_hdf5(const std::filesystem::path& path, const std::string& name);

}  // namespace trainctl
