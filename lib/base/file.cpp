#include "base/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <new>
#include <system_error>
#include <utility>

#include "base/error.h"

namespace trainctl {
namespace fs = std::filesystem;
namespace {

constexpr mode_t file_mode = 0666;  // the umask takes what the user does not want

std::string reason(int code) {
  return std::generic_category().message(code);
}

const char* advice(int code) {
  switch (code) {
    case ENOSPC:
      return "; free some space on that disk";
    case EDQUOT:
      return "; your quota is used up: remove something or ask for more";
    case EROFS:
      return "; choose an output folder that can be written";
    case EACCES:
    case EPERM:
      return "; check the permissions of the file and its folder";
    case EIO:
      return "; the disk or its server has a fault";
    case EFBIG:
      return "; raise the file size limit (ulimit -f)";
    case EMFILE:
      return "; raise the limit of open files (ulimit -n)";
    case ENOMEM:
      return "; there is too little memory";
    default:
      return "";
  }
}

[[noreturn]] void fail_io(const fs::path& path, std::string_view action, int code, ErrorKind kind) {
  fail(kind, "{}: cannot {}: {}{}", path.string(), action, reason(code), advice(code));
}

fs::path folder_of(const fs::path& path) {
  return path.has_parent_path() ? path.parent_path() : fs::path(".");
}

}  // namespace

FileOps& file_ops() {
  static FileOps ops{[](const char* path, int flags, mode_t mode) { return ::open(path, flags, mode); }, ::write,
                     ::fsync, ::close, ::rename};
  return ops;
}

Fd& Fd::operator=(Fd&& other) noexcept {
  if (this != &other) {
    close();
    fd_ = other.release();
  }
  return *this;
}

Fd::~Fd() {
  close();
}

int Fd::release() {
  return std::exchange(fd_, -1);
}

int Fd::close() {
  if (fd_ < 0) return 0;
  // Linux frees the descriptor even when close is interrupted; calling again could close another thread's file.
  return file_ops().close(release()) == 0 || errno == EINTR ? 0 : errno;
}

void fail_write(const fs::path& path, std::string_view action, int code) {
  fail_io(path, action, code, ErrorKind::environment);
}

void fail_io(const fs::path& path, std::string_view action, int code) {
  const bool wrong_path =
      code == ENOENT || code == ENOTDIR || code == EISDIR || code == ELOOP || code == ENAMETOOLONG || code == ENXIO;
  fail_io(path, action, code, wrong_path ? ErrorKind::data : ErrorKind::environment);
}

Bytes read_bytes(const fs::path& path, std::uint64_t max_bytes) {
  // O_NONBLOCK: opening a pipe that nobody writes to must not hang.
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd) fail_io(path, "open", errno);
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) fail_io(path, "read", errno);
  if (S_ISDIR(info.st_mode)) fail_io(path, "read", EISDIR);
  if (!S_ISREG(info.st_mode)) fail(ErrorKind::data, "{}: is not a regular file", path.string());
  const auto size = static_cast<std::uint64_t>(info.st_size);
  if (size > max_bytes) {
    fail(ErrorKind::data, "{}: has {} bytes, more than the {} that such a file may have", path.string(), size,
         max_bytes);
  }
  Bytes bytes{std::unique_ptr<std::byte[]>(new (std::nothrow) std::byte[size]), size};
  if (!bytes.data) fail_io(path, "read", ENOMEM);
  for (std::size_t done = 0; done < size;) {
    const ssize_t got = ::read(fd.get(), bytes.data.get() + done, size - done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail_io(path, "read", errno);
    if (got == 0) fail(ErrorKind::data, "{}: was cut short to {} bytes while it was read", path.string(), done);
    done += static_cast<std::size_t>(got);
  }
  return bytes;
}

std::string read_file(const fs::path& path, std::uint64_t max_bytes) {
  return std::string(read_bytes(path, max_bytes).text());
}

int write_all(int fd, ByteSpan bytes) {
  while (!bytes.empty()) {
    const ssize_t written = file_ops().write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return errno;
    if (written == 0) return EIO;
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
  return 0;
}

int sync_file(int fd) {
  while (file_ops().fsync(fd) != 0) {
    if (errno != EINTR) return errno;
  }
  return 0;
}

void sync_directory(const fs::path& folder) {
  Fd fd(file_ops().open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0));
  if (!fd) fail_write(folder, "open the folder", errno);
  // EINVAL: the file system has no such operation for folders.
  const int code = sync_file(fd.get());
  if (code != 0 && code != EINVAL) fail_write(folder, "make the folder durable", code);
}

TemporaryFile::TemporaryFile(fs::path target)
    : target_(std::move(target)),
      path_(folder_of(target_) / fmt::format(".{}.{}.tmp", target_.filename().string(), ::getpid())) {
  ::unlink(path_.c_str());
}

TemporaryFile::~TemporaryFile() {
  if (!in_place_) ::unlink(path_.c_str());
}

Fd TemporaryFile::create() const {
  Fd fd(file_ops().open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, file_mode));
  if (!fd) fail_write(target_, "create", errno);
  return fd;
}

int TemporaryFile::rename() {
  if (file_ops().rename(path_.c_str(), target_.c_str()) != 0) return errno;
  in_place_ = true;
  return 0;
}

void TemporaryFile::take_place() {
  if (const int code = rename()) fail_write(target_, "replace", code);
  sync_directory(folder_of(target_));
}

void write_file_atomic(const fs::path& path, std::span<const ByteSpan> parts) {
  TemporaryFile temporary(path);
  Fd fd = temporary.create();
  for (const ByteSpan part : parts) {
    if (const int code = write_all(fd.get(), part)) fail_write(path, "write", code);
  }
  // Never again after EIO: the kernel marks the lost pages clean, so that a second fsync would succeed falsely.
  if (const int code = sync_file(fd.get())) fail_write(path, "write to the disk", code);
  if (const int code = fd.close()) fail_write(path, "finish writing", code);
  temporary.take_place();
}

void write_file_atomic(const fs::path& path, std::string_view text) {
  const std::array parts{bytes_of(text)};
  write_file_atomic(path, parts);
}

void replace_symlink(const fs::path& target, const fs::path& link) {
  TemporaryFile temporary(link);
  if (::symlink(target.c_str(), temporary.path().c_str()) != 0) fail_write(link, "create the link", errno);
  temporary.take_place();
}

int remove_temporaries(const fs::path& folder) {
  int count = 0;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (name.starts_with('.') && name.ends_with(".tmp") && ::unlink(it->path().c_str()) == 0) ++count;
  }
  return count;
}

}  // namespace trainctl
