// Rows of several fields in an HDF5 file, written as they come.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "device/types.h"

namespace trainctl {

/// Writes beside `path` and takes its place in finish(), so that there is the old file or the whole new one; without
/// finish() nothing is left. A disk that is full is an environment Error.
class RowsFile {
 public:
  struct Field {
    std::string name;
    DType dtype = DType::f32;
    Shape shape;  ///< of a row
  };
  /// A file of datasets (rows, shape...), one for each field; a '/' in a name makes a group.
  RowsFile(std::filesystem::path path, std::vector<Field> fields, std::int64_t rows);
  ~RowsFile();
  /// Writes rows [first, first + count) of one field, row-major.
  void write(std::size_t field, std::int64_t first, std::int64_t count, const void* values);
  /// Adds a dataset of texts, UTF-8 of variable length.
  void add_texts(const std::string& name, const std::vector<std::string>& texts);
  void finish();

 private:
  struct File;
  std::unique_ptr<File> file_;
};

}  // namespace trainctl
