// Files read whole, written atomically and locked; every failure is an Error that names the file and the system's
// reason.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace trainctl {

using ByteSpan = std::span<const std::byte>;

/// The bytes of a text.
inline ByteSpan bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

/// Owns a file descriptor; closes it when it goes, ignoring errors (close() reports them).
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(other.release()) {}
  Fd& operator=(Fd&& other) noexcept;
  ~Fd();

  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  int release();
  /// Closes now. Returns 0 or errno: on network file systems a full disk may show here alone.
  int close();

 private:
  int fd_ = -1;
};

/// Bytes that are not zeroed before they are filled.
struct Bytes {
  std::unique_ptr<std::byte[]> data;
  std::size_t size = 0;

  ByteSpan span() const { return {data.get(), size}; }
  std::string_view text() const { return {reinterpret_cast<const char*>(data.get()), size}; }
};

/// Throws the Error for errno `code`: "<path>: cannot <action>: <reason>" with what to do where that is known. A full
/// disk, a quota, missing permission, I/O and resource errors are of kind environment; a missing
/// file and whatever else is of kind data.
[[noreturn]] void fail_io(const std::filesystem::path& path, std::string_view action, int code);

/// The same for a failure to write, which is the environment's whatever its errno: a missing folder, too, is a state of
/// the disk.
[[noreturn]] void fail_write(const std::filesystem::path& path, std::string_view action, int code);

/// Reads a regular file whole. A file over `max_bytes`, a directory or a missing file is a data Error.
Bytes read_bytes(const std::filesystem::path& path, std::uint64_t max_bytes);
/// read_bytes as text.
std::string read_file(const std::filesystem::path& path, std::uint64_t max_bytes = std::uint64_t{256} << 20);

/// A file beside its target that takes the target's place when it is whole: ".<target>.<pid>.tmp", which
/// remove_temporaries() finds if the process is killed. Gone with the object unless it took the place.
class TemporaryFile {
 public:
  /// Nothing is made yet; what a dead process with our number left is removed.
  explicit TemporaryFile(std::filesystem::path target);
  ~TemporaryFile();
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;

  const std::filesystem::path& target() const { return target_; }
  const std::filesystem::path& path() const { return path_; }
  /// Makes the file, to be written. An environment Error if that fails.
  Fd create() const;
  /// Renames it. Returns 0 or errno.
  int rename();
  /// Renames it and makes that durable. An environment Error if that fails.
  void take_place();

 private:
  std::filesystem::path target_, path_;
  bool in_place_ = false;
};

/// Replaces `path` by the concatenated `parts`, so that at any crash there is the old file or the new one: temporary
/// file in the same folder, write, fsync, rename, fsync of the folder. On failure the temporary file is removed, the
/// old file stands, and an environment Error is thrown; a failed fsync is final, since the kernel may have dropped the
/// pages.
void write_file_atomic(const std::filesystem::path& path, std::span<const ByteSpan> parts);
void write_file_atomic(const std::filesystem::path& path, std::string_view text);

/// Points the symbolic link `link` at `target` (taken as it is, so usually relative), replacing an old link atomically.
void replace_symlink(const std::filesystem::path& target, const std::filesystem::path& link);

/// Makes names created, renamed or removed in a folder durable.
void sync_directory(const std::filesystem::path& folder);

/// Writes everything, whatever the number of short writes and interrupted calls. Returns 0 or errno.
int write_all(int fd, ByteSpan bytes);

/// Makes what was written durable. Returns 0 or errno; anything but an interruption is final, see write_file_atomic.
int sync_file(int fd);

/// Removes what killed writers left in `folder` of every TemporaryFile. Only for who owns the folder. Returns how many
/// there were.
int remove_temporaries(const std::filesystem::path& folder);

/// An exclusive lock on a file, held until the object or the process goes: a lock left by a dead process is free. The
/// file itself stays and holds the holder's pid and host.
class FileLock {
 public:
  /// Throws an environment Error "held by pid N on HOST" if another process holds it.
  explicit FileLock(std::filesystem::path path);
  FileLock(FileLock&&) = default;
  FileLock& operator=(FileLock&&) = default;

  const std::filesystem::path& path() const { return path_; }

  /// Whether some process holds the lock now (this one included); false where there is no such file.
  static bool is_held(const std::filesystem::path& path);

 private:
  std::filesystem::path path_;
  Fd fd_;
};

/// The system calls that write; tests replace entries to inject faults and kills.
struct FileOps {
  int (*open)(const char* path, int flags, mode_t mode);
  ssize_t (*write)(int fd, const void* bytes, std::size_t count);
  int (*fsync)(int fd);
  int (*close)(int fd);
  int (*rename)(const char* from, const char* to);
};
FileOps& file_ops();

}  // namespace trainctl
