// A file written piece by piece that takes its place as a whole.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "base/file.h"

namespace trainctl {

/// Writes beside `path`, as write_file_atomic does but in pieces, and takes its place in finish(). Without finish()
/// nothing is left. Failures are environment Errors.
class StreamedFile {
 public:
  explicit StreamedFile(std::filesystem::path path);
  void write(std::string_view text);
  void finish();

 private:
  void flush();
  TemporaryFile temporary_;
  Fd fd_;
  std::string waiting_;
};

}  // namespace trainctl
