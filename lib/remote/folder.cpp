#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <system_error>
#include <utility>

#include "base/file.h"
#include "base/sha256.h"
#include "remote/pace.h"
#include "remote/remote.h"

namespace trainctl {
namespace {

namespace fs = std::filesystem;

/// Small enough for a cache, and for no one to wait long while the kernel copies it.
constexpr std::size_t piece_bytes = 128 << 10;

/// Whether the same call may succeed soon: a server of files that does not answer, for one.
bool is_passing(int code) {
  constexpr std::array passing{EIO, ESTALE, ETIMEDOUT, EHOSTDOWN, EHOSTUNREACH, ENETDOWN, ENETUNREACH, EAGAIN, ENOMEM};
  return std::ranges::find(passing, code) != passing.end();
}

[[noreturn]] void fail_there(const fs::path& path, std::string_view action, int code) {
  const auto cause = is_passing(code) ? RemoteError::Cause::unreachable : RemoteError::Cause::refused;
  try {
    fail_io(path, action, code);  // knows what to advise
  } catch (const Error& error) {
    throw RemoteError(cause, error.what());
  }
}

/// Objects are files below a folder: a mounted share, or another disk.
class FolderStore final : public ObjectStore {
 public:
  explicit FolderStore(fs::path root) : root_(std::move(root)) {}

  std::string url(std::string_view key) const override { return "file://" + (root_ / key).string(); }

  void put(std::string_view key, const fs::path& file) override {
    expect_root();
    const fs::path target = path_of(key);
    std::error_code error;
    fs::create_directories(target.parent_path(), error);
    if (error) fail_there(target.parent_path(), "create the folder", error.value());
    // What a killed process left: of those that put, only one at a time works below a run's key.
    if (std::exchange(clean_, {}) != target.parent_path()) remove_temporaries(target.parent_path());
    const Fd from(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
    if (!from) fail_io(file, "open", errno);
    struct stat info {};
    if (::fstat(from.get(), &info) != 0) fail_io(file, "read", errno);
    TemporaryFile temporary(target);
    const auto bytes = static_cast<std::uint64_t>(info.st_size);
    const std::string sent = copy(from.get(), file, temporary.path(), bytes);
    if (digest(temporary.path(), bytes) != sent) damaged(target);
    if (const int code = temporary.rename()) fail_there(target, "replace", code);
    sync_folders(target.parent_path());
    clean_ = target.parent_path();
  }

  void get(std::string_view key, const fs::path& file) override {
    const fs::path source = path_of(key);
    const Fd from(::open(source.c_str(), O_RDONLY | O_CLOEXEC));
    if (!from && errno == ENOENT) missing(key);
    if (!from) fail_there(source, "open", errno);
    struct stat info {};
    if (::fstat(from.get(), &info) != 0) fail_there(source, "read", errno);
    TemporaryFile temporary(file);
    try {
      copy(from.get(), source, temporary.path(), static_cast<std::uint64_t>(info.st_size));
    } catch (const RemoteError& error) {
      if (error.cause() == RemoteError::Cause::cancelled) throw;
      fail(ErrorKind::environment, "{}", error.what());  // our own disk's fault
    }
    temporary.take_place();
  }

  std::optional<RemoteObject> find(std::string_view key) override {
    expect_root();
    std::error_code error;
    const auto bytes = fs::file_size(path_of(key), error);
    if (error == std::errc::no_such_file_or_directory || error == std::errc::not_a_directory) return {};
    if (error) fail_there(path_of(key), "read", error.value());
    return RemoteObject{std::string(key), bytes};
  }

  std::vector<RemoteObject> list(std::string_view prefix) override {
    expect_root();
    // Only what lies in the folder that the prefix names can begin with it.
    const auto slash = prefix.rfind('/');
    const fs::path below = slash == std::string_view::npos ? root_ : root_ / prefix.substr(0, slash);
    std::vector<RemoteObject> objects;
    std::error_code error;
    fs::recursive_directory_iterator it(below, error), end;
    if (error == std::errc::no_such_file_or_directory) return {};
    for (; !error && it != end; it.increment(error)) {
      refuse_if_cancelled();
      const std::string name = it->path().filename().string();
      std::error_code gone;
      if (name.starts_with('.') || it->symlink_status(gone).type() != fs::file_type::regular) continue;
      const std::uint64_t bytes = it->file_size(gone);
      std::string key = it->path().lexically_relative(root_).string();
      if (!gone && key.starts_with(prefix)) objects.push_back({std::move(key), bytes});
    }
    if (error) fail_there(below, "list", error.value());
    std::ranges::sort(objects, {}, &RemoteObject::key);
    return objects;
  }

  void remove(std::string_view key) override {
    expect_root();
    if (::unlink(path_of(key).c_str()) != 0 && errno != ENOENT) fail_there(path_of(key), "remove", errno);
  }

  void cancel() override { cancelled_ = true; }

 private:
  fs::path path_of(std::string_view key) const {
    const fs::path relative(key);
    const bool below = !key.empty() && relative.is_relative() &&
                       std::ranges::none_of(relative, [](const fs::path& part) { return part == ".." || part == "."; });
    require(below, "a key that is no path below its store");
    return root_ / relative;
  }

  void expect_root() const {
    refuse_if_cancelled();
    std::error_code error;
    if (fs::is_directory(root_, error)) return;
    if (error && is_passing(error.value())) fail_there(root_, "look into the folder", error.value());
    throw RemoteError(
        RemoteError::Cause::refused,
        fmt::format("{}: there is no such folder; mount or create it, or change remote.path", root_.string()));
  }

  void refuse_if_cancelled() const {
    if (cancelled_) throw RemoteError(RemoteError::Cause::cancelled, root_.string() + ": cancelled");
  }

  [[noreturn]] void missing(std::string_view key) const {
    throw RemoteError(RemoteError::Cause::missing, url(key) + ": there is no such file");
  }
  [[noreturn]] static void damaged(const fs::path& path) {
    throw RemoteError(RemoteError::Cause::damaged, path.string() + ": what was written reads back otherwise");
  }

  /// Copies so many bytes of an open file to a new one, durably; the digest of what was read.
  std::string copy(int from, const fs::path& source, const fs::path& target, std::uint64_t bytes) const {
    Fd to(::open(target.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666));
    if (!to) fail_there(target, "create", errno);
    Sha256 hash;
    each_piece(from, source, bytes, [&](std::span<const std::byte> piece) {
      hash.update(piece);
      if (const int code = write_all(to.get(), piece)) fail_there(target, "write", code);
    });
    if (const int code = sync_file(to.get())) fail_there(target, "write to the disk", code);
    if (const int code = to.close()) fail_there(target, "finish writing", code);
    return hash.finish_hex();
  }

  /// Of a file that was written just now, read from where it lies as far as that can be asked for.
  std::string digest(const fs::path& path, std::uint64_t bytes) const {
    const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd) fail_there(path, "open", errno);
    (void)::posix_fadvise(fd.get(), 0, 0, POSIX_FADV_DONTNEED);
    Sha256 hash;
    each_piece(fd.get(), path, bytes, [&](std::span<const std::byte> piece) { hash.update(piece); });
    return hash.finish_hex();
  }

  template <typename Take>
  void each_piece(int fd, const fs::path& path, std::uint64_t bytes, Take take) const {
    const auto buffer = std::make_unique<std::byte[]>(std::min<std::uint64_t>(piece_bytes, bytes));
    while (bytes > 0) {
      Pace::keep();
      refuse_if_cancelled();
      const ssize_t got = ::read(fd, buffer.get(), std::min<std::uint64_t>(piece_bytes, bytes));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) fail_io(path, "read", errno);
      if (got == 0) fail(ErrorKind::environment, "{}: became shorter while it was copied", path.string());
      take(std::span(buffer.get(), static_cast<std::size_t>(got)));
      bytes -= static_cast<std::uint64_t>(got);
    }
  }

  /// Makes a new name durable, and those of folders that may be new.
  void sync_folders(fs::path folder) const {
    while (true) {
      try {
        sync_directory(folder);
      } catch (const Error& error) {
        throw RemoteError(RemoteError::Cause::unreachable, error.what());
      }
      if (folder == root_ || folder == folder.parent_path()) return;
      folder = folder.parent_path();
    }
  }

  fs::path root_;
  fs::path clean_;  ///< the folder of the last put, unless that failed
  std::atomic<bool> cancelled_{false};
};

struct Folder final : Remote {
  Path path;

  static Schema<Folder> schema() {
    return Schema<Folder>("A folder: a mounted share, or another disk. Each copy is read back and compared.")
        .required("path", &Folder::path, non_empty(),
                  "The folder. It must be there: a share that is not mounted is not taken for an empty one.")
        .example("{type: folder, path: /mnt/archive/runs}");
  }

  std::unique_ptr<ObjectStore> open() const override {
    return std::make_unique<FolderStore>(path.value.lexically_normal());
  }
  std::string_view scheme() const override { return "file"; }
  std::vector<std::pair<std::string, std::string>> fields_of(std::string_view place) const override {
    return {{"path", std::string(place)}};
  }
};
const Register<Remote, Folder> registered{"folder"};

}  // namespace
}  // namespace trainctl
