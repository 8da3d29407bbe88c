#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"

namespace trainctl {
namespace fs = std::filesystem;
namespace {

// Open-file-description locks: they belong to this descriptor, so that closing another one of the same file does not
// drop them, and end with the process whichever way it ends.
int lock_call(int fd, int command, struct flock& region) {
  region = {};
  region.l_type = F_WRLCK;
  region.l_whence = SEEK_SET;
  int result;
  do {
    result = ::fcntl(fd, command, &region);
  } while (result != 0 && errno == EINTR);
  return result == 0 ? 0 : errno;
}

bool still_names(const fs::path& path, int fd) {
  struct stat named {
  }, opened{};
  return ::stat(path.c_str(), &named) == 0 && ::fstat(fd, &opened) == 0 && named.st_dev == opened.st_dev &&
         named.st_ino == opened.st_ino;
}

std::string holder(int fd) {
  std::array<char, 256> text{};
  const ssize_t size = ::pread(fd, text.data(), text.size() - 1, 0);
  std::string line(text.data(), size > 0 ? static_cast<std::size_t>(size) : 0);
  line.resize(std::min(line.find('\n'), line.size()));
  return line.empty() ? "another process" : line;
}

void note_holder(int fd) {
  std::array<char, 256> host{};
  ::gethostname(host.data(), host.size() - 1);
  const std::string line = fmt::format("pid {} on {}\n", ::getpid(), host.data());
  // For people only: the lock holds without it, on a full disk too.
  if (::ftruncate(fd, 0) == 0) (void)write_all(fd, bytes_of(line));
}

}  // namespace

FileLock::FileLock(fs::path path) : path_(std::move(path)) {
  while (true) {
    fd_ = Fd(::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666));
    if (!fd_) fail(ErrorKind::environment, "{}: cannot open the lock: {}", path_.string(), std::strerror(errno));
    struct flock region;
    const int code = lock_call(fd_.get(), F_OFD_SETLK, region);
    if (code == EAGAIN || code == EACCES) {
      fail(ErrorKind::environment, "{}: held by {}; wait for it to end, or stop it", path_.string(), holder(fd_.get()));
    }
    if (code == ENOSYS || code == ENOTSUP || code == ENOLCK || code == EINVAL) {
      log::warn("{}: this file system has no locks; see that no second process works here", path_.string());
    } else if (code != 0) {
      fail_io(path_, "lock", code);
    }
    // Whoever created the folder may have removed it between our open and our lock.
    if (still_names(path_, fd_.get())) break;
  }
  note_holder(fd_.get());
}

bool FileLock::is_held(const fs::path& path) {
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd) return false;
  struct flock region;
  return lock_call(fd.get(), F_OFD_GETLK, region) == 0 && region.l_type != F_UNLCK;
}

}  // namespace trainctl
