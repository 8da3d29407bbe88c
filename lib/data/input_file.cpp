#include "data/input_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/error.h"
#include "base/signals.h"

namespace trainctl {

InputFile::InputFile(std::filesystem::path path) : path_(std::move(path)) {
  // O_NONBLOCK: opening a FIFO must not wait for a writer. It means nothing for regular files.
  do {
    fd_ = Fd(::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  } while (!fd_ && errno == EINTR);
  if (!fd_) fail_io(path_, "be opened", errno);
  struct stat status {};
  if (fstat(fd_.get(), &status) != 0) fail_io(path_, "be read", errno);
  if (!S_ISREG(status.st_mode)) fail(ErrorKind::data, "{}: not a regular file", path_.string());
  size_ = static_cast<std::uint64_t>(status.st_size);
}

void InputFile::read(std::uint64_t offset, std::span<std::byte> out) const {
  constexpr std::size_t largest_read = std::size_t{1} << 30;
  while (!out.empty()) {
    const ssize_t n = ::pread(fd_.get(), out.data(), std::min(out.size(), largest_read), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail_io(path_, fmt::format("be read at byte {}", offset), errno);
    if (n == 0) {
      fail(ErrorKind::data, "{}: truncated: ends at byte {}, {} more bytes were expected", path_.string(), offset,
           out.size());
    }
    offset += static_cast<std::uint64_t>(n);
    out = out.subspan(static_cast<std::size_t>(n));
  }
}

void InputFile::load(std::uint64_t offset, std::span<std::byte> out) const {
  constexpr std::size_t piece = std::size_t{64} << 20;
  for (std::size_t at = 0; at < out.size(); at += piece) {
    if (signals::stop_requested()) fail(ErrorKind::interrupted, "stopped while reading {}", path_.string());
    read(offset + at, out.subspan(at, std::min(piece, out.size() - at)));
  }
}

HostBytes InputFile::read_all(std::size_t lead) const {
  HostBytes bytes(lead + size_);
  load(0, bytes.span().subspan(lead));
  return bytes;
}

}  // namespace trainctl
