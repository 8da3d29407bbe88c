#include "base/streamed_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/error.h"

namespace trainctl {

namespace {

constexpr std::size_t piece_bytes = std::size_t{1} << 20;

}  // namespace

StreamedFile::StreamedFile(std::filesystem::path path) : path_(std::move(path)) {
  temporary_ = path_.parent_path() / fmt::format(".{}.{}.tmp", path_.filename().string(), ::getpid());
  fd_ = Fd(file_ops().open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
  if (!fd_) fail_write(path_, "create", errno);
}

StreamedFile::~StreamedFile() {
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void StreamedFile::write(std::string_view text) {
  waiting_ += text;
  if (waiting_.size() >= piece_bytes) flush();
}

void StreamedFile::flush() {
  if (const int code = write_all(fd_.get(), bytes_of(waiting_))) fail_write(path_, "write", code);
  waiting_.clear();
}

void StreamedFile::finish() {
  flush();
  if (const int code = sync_file(fd_.get())) fail_write(path_, "write to the disk", code);
  if (const int code = fd_.close()) fail_write(path_, "write", code);
  if (file_ops().rename(temporary_.c_str(), path_.c_str()) != 0) fail_write(path_, "replace", errno);
  temporary_.clear();
  sync_directory(path_.has_parent_path() ? path_.parent_path() : ".");
}

}  // namespace trainctl
