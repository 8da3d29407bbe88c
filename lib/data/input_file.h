// Read-only files, read (never mapped): a file that shrinks under us is an error, not a SIGBUS.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>

#include "base/error.h"
#include "base/file.h"
#include "data/host_bytes.h"

namespace trainctl {

/// A data Error: a file that is whole and holds no samples. There is nothing to train on, and nothing to predict.
class NoSamples : public Error {
 public:
  explicit NoSamples(const std::string& message) : Error(ErrorKind::data, message) {}
};

/// An open regular file. Reads are positioned and may run in several threads.
class InputFile {
 public:
  /// Throws a data Error if the path is missing, unreadable or not a regular file.
  explicit InputFile(std::filesystem::path path);

  const std::filesystem::path& path() const { return path_; }
  /// Size when it was opened.
  std::uint64_t size() const { return size_; }
  /// Fills `out` from `offset`; a data Error names the byte where the file ended too soon.
  void read(std::uint64_t offset, std::span<std::byte> out) const;
  /// read() in pieces, for loading much at once: between them a requested stop ends it with an interrupted Error.
  void load(std::uint64_t offset, std::span<std::byte> out) const;
  /// The whole file, starting at `lead` bytes into the result.
  HostBytes read_all(std::size_t lead = 0) const;

 private:
  std::filesystem::path path_;
  Fd fd_;
  std::uint64_t size_ = 0;
};

}  // namespace trainctl
