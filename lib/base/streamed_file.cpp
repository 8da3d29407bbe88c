#include "base/streamed_file.h"

#include <utility>

namespace trainctl {

namespace {

constexpr std::size_t piece_bytes = std::size_t{1} << 20;

}  // namespace

StreamedFile::StreamedFile(std::filesystem::path path) : temporary_(std::move(path)), fd_(temporary_.create()) {}

void StreamedFile::write(std::string_view text) {
  waiting_ += text;
  if (waiting_.size() >= piece_bytes) flush();
}

void StreamedFile::flush() {
  if (const int code = write_all(fd_.get(), bytes_of(waiting_))) fail_write(temporary_.target(), "write", code);
  waiting_.clear();
}

void StreamedFile::finish() {
  flush();
  if (const int code = sync_file(fd_.get())) fail_write(temporary_.target(), "write to the disk", code);
  if (const int code = fd_.close()) fail_write(temporary_.target(), "finish writing", code);
  temporary_.take_place();
}

}  // namespace trainctl
