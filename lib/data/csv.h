// Rows of a CSV file (RFC 4180, any one-byte delimiter).
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "data/host_bytes.h"

namespace trainctl {

/// One cell: its text without quotes, and the place where it begins (both count from 1, columns in bytes).
struct CsvCell {
  std::string_view text;
  std::size_t line = 0;
  std::size_t column = 0;
};

/// Reads a CSV file row by row. Cells may be quoted, with "" for a quote; lines end with LF or CRLF; blank lines and a
/// byte-order mark are passed over.
class CsvReader {
 public:
  CsvReader(const std::filesystem::path& path, char delimiter);

  /// Gives the next row; false at the end. Texts stay valid as long as the reader. Throws a data Error with
  /// file:line:column where quotes don't match or a row has another number of cells than the first.
  bool next(std::vector<CsvCell>& row);
  /// Throws a data Error "file:line:column: what".
  [[noreturn]] void fail_at(const CsvCell& cell, std::string_view what) const;

 private:
  CsvCell read_cell();
  CsvCell read_quoted_cell(CsvCell cell);
  bool at_line_end() const;
  void skip_line_end();
  CsvCell here() const { return {{}, line_, static_cast<std::size_t>(at_ - line_start_) + 1}; }

  std::string path_;
  char delimiter_;
  HostBytes bytes_;
  char* at_ = nullptr;
  char* end_ = nullptr;
  char* line_start_ = nullptr;
  std::size_t line_ = 1;
  std::size_t width_ = 0;
};

}  // namespace trainctl
