#include <fmt/core.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <optional>

#include "base/file.h"
#include "base/log.h"
#include "remote/file_digests.h"
#include "remote/s3_transfer.h"

namespace trainctl {
namespace {

namespace fs = std::filesystem;
using Cause = RemoteError::Cause;

/// How often an object whose bytes turn out to be wrong is fetched in all.
constexpr int max_downloads = 2;

// A file that is there under its own name only when it is whole.
class Download final : public HttpSink {
 public:
  explicit Download(const fs::path& file) : temporary_(file), fd_(temporary_.create()) {}

  std::uint64_t received() const { return received_; }

  // Of which part is still to come, and that it must be of the same object.
  std::vector<std::string> headers() const {
    if (received_ == 0 || etag_.empty()) return {};
    return {fmt::format("Range: bytes={}-", received_), fmt::format("If-Match: \"{}\"", etag_)};
  }

  void begin(const HttpResponse& head) override {
    const bool goes_on =
        head.status == 206 && head.header("content-range").starts_with(fmt::format("bytes {}-", received_));
    if (goes_on && received_ > 0) return;
    restart();
    etag_ = etag_of(head);
    sha256_ = head.header(sha256_header);
    actual_sha256_ = PartedSha256::like(sha256_);
    md5_ = !actual_sha256_ && etag_is_md5(head) ? etag_ : "";
    has_size_ = !head.header("content-length").empty();
    size_ = std::strtoull(std::string(head.header("content-length")).c_str(), nullptr, 10);
  }

  void write(ByteSpan bytes) override {
    if (const int code = write_all(fd_.get(), bytes)) fail_write(temporary_.target(), "write", code);
    received_ += bytes.size();
    if (actual_sha256_) actual_sha256_->update(bytes);
    if (!md5_.empty()) actual_md5_.update(bytes);
  }

  void restart() {
    if (received_ > 0 && (::ftruncate(fd_.get(), 0) != 0 || ::lseek(fd_.get(), 0, SEEK_SET) != 0))
      fail_write(temporary_.target(), "write", errno);
    received_ = 0;
    actual_sha256_.reset();
    actual_md5_.finish();
  }

  // What is wrong with all that was received, or nullptr.
  const char* fault() {
    if (has_size_ && received_ != size_) return "another number of bytes arrived than was announced";
    if (actual_sha256_ && actual_sha256_->finish().whole != sha256_)
      return "what arrived does not have the SHA-256 of what was put";
    if (!md5_.empty()) {
      const std::string actual = actual_md5_.finish();
      if (!actual.empty() && hex(actual) != md5_) return "what arrived does not have the MD5 of what was put";
    }
    return nullptr;
  }

  void finish() {
    if (const int code = sync_file(fd_.get())) fail_write(temporary_.target(), "write to the disk", code);
    if (const int code = fd_.close()) fail_write(temporary_.target(), "finish writing", code);
    temporary_.take_place();
  }

 private:
  TemporaryFile temporary_;
  Fd fd_;
  std::uint64_t received_ = 0;
  std::uint64_t size_ = 0;
  bool has_size_ = false;
  std::string etag_;
  std::string sha256_;
  std::string md5_;
  std::optional<PartedSha256> actual_sha256_;
  Md5 actual_md5_;
};

}  // namespace

void s3_download(S3Client& client, const std::string& full_key, const std::string& name, const fs::path& file) {
  Download download(file);
  S3Call get{.what = "get " + name, .method = "GET", .full_key = full_key, .sink = &download};
  get.more_headers = [&] { return download.headers(); };
  get.progress = [&] { return download.received(); };
  for (int tries = 1;; ++tries) {
    const S3Client::Result result = client.try_call(get);
    const bool changed = result.problem && result.response.status == 412;  // while it was fetched
    if (result.problem && !changed) client.fail(get, *result.problem);
    const char* fault = changed ? "the object was replaced while it was fetched" : download.fault();
    if (!fault) break;
    if (tries == max_downloads) client.fail(get, {.cause = Cause::damaged, .code = {}, .text = fault});
    log::debug("cannot {}: {}; fetching it anew", get.what, fault);
    download.restart();
  }
  download.finish();
}

}  // namespace trainctl
