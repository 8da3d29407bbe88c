#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/file.h"
#include "base/log.h"
#include "remote/file_digests.h"
#include "remote/s3_transfer.h"
#include "remote/xml.h"

namespace trainctl {
namespace {

namespace fs = std::filesystem;
using Cause = RemoteError::Cause;

constexpr std::uint64_t max_parts = 10'000;
constexpr std::uint64_t mebibyte = 1 << 20;
/// How often an upload is begun anew where the server has forgotten it or holds other bytes.
constexpr int max_uploads = 3;
/// What a server is tried with.
constexpr std::uint64_t trial_bytes = 1024;

class Upload {
 public:
  Upload(S3Client& client, std::string full_key, std::string name, const fs::path& file, PartProof& proof)
      : client_(client), full_key_(std::move(full_key)), name_(std::move(name)), file_(file.string()), proof_(proof) {
    // O_NONBLOCK: opening a pipe that nobody writes to must not hang.
    fd_ = Fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!fd_) fail_io(file, "open", errno);
    struct stat info {};
    if (::fstat(fd_.get(), &info) != 0) fail_io(file, "read", errno);
    if (!S_ISREG(info.st_mode)) fail(ErrorKind::data, "{}: is not a regular file", file_);
    bytes_ = static_cast<std::uint64_t>(info.st_size);
  }

  void run(std::uint64_t part_bytes) {
    const std::uint64_t least = (bytes_ / max_parts / mebibyte + 1) * mebibyte;
    if (bytes_ > part_bytes * max_parts) part_bytes = least;
    const bool in_parts = bytes_ > part_bytes;
    if (in_parts && proof_ == PartProof::untried)
      proof_ = try_part_proof(client_, full_key_, name_, part_of_file(0, std::min(bytes_, trial_bytes)));
    with_sha256_ = in_parts && proof_ == PartProof::sha256;
    for (int tries = 1;; ++tries) {
      // Anew each time: that other bytes arrived may mean that the file has changed.
      digests_ = digest_file(fd_.get(), file_, bytes_, part_bytes, with_sha256_ ? WithMd5::no : WithMd5::yes,
                             client_.cancellation());
      try {
        return in_parts ? put_in_parts() : put_whole();
      } catch (const RemoteError& error) {
        const bool again = error.cause() == Cause::missing || error.cause() == Cause::damaged;
        if (!again || tries == max_uploads) throw;
        log::debug("{}; beginning anew", error.what());
      }
    }
  }

 private:
  S3Call call(const char* method, S3Query query = {}) const {
    return {.what = "put " + name_, .method = method, .full_key = full_key_, .query = std::move(query)};
  }

  HttpUpload part_of_file(std::uint64_t offset, std::uint64_t bytes) const {
    return {.fd = fd_.get(), .name = file_, .offset = offset, .bytes = bytes};
  }

  S3Call upload_of(const FilePart& part, S3Query query = {}) const {
    S3Call upload = call("PUT", std::move(query));
    upload.upload = part_of_file(part.offset, part.bytes);
    upload.payload_sha256 = hex(text_of(part.sha256));
    if (with_sha256_) upload.headers.push_back(sha256_part_header(part.sha256));
    if (!part.md5.empty()) upload.headers.push_back("Content-MD5: " + base64(part.md5));
    return upload;
  }

  std::string own_header() const { return fmt::format("{}: {}", sha256_header, digests_.sha256); }

  [[noreturn]] void damaged(const S3Call& call, const char* what) const {
    client_.fail(call, {.cause = Cause::damaged, .code = {}, .text = what});
  }

  void put_whole() {
    const FilePart& part = digests_.parts[0];
    S3Call put = upload_of(part);
    put.headers.push_back("Content-Type: application/octet-stream");
    put.headers.push_back(own_header());
    const HttpResponse answer = client_.call(put);
    if (part.md5.empty() || !etag_is_md5(answer)) return confirm(put, "");
    if (etag_of(answer) != hex(part.md5)) damaged(put, "the store's ETag is not the MD5 of what was sent");
  }

  void put_in_parts() {
    abort_leftovers();
    S3Call create = call("POST", {{"uploads", ""}});
    create.headers = {"Content-Type: application/octet-stream", own_header()};
    if (with_sha256_) create.headers.emplace_back(sha256_parts_header);
    const std::string id = upload_id(client_.call(create));
    if (id.empty()) {
      client_.fail(
          create,
          {.cause = Cause::refused, .code = {}, .text = "the answer names no upload: is the endpoint one of S3?"});
    }
    try {
      std::string parts;
      std::string etags;
      for (std::size_t i = 0; i < digests_.parts.size(); ++i) {
        const std::string number = std::to_string(i + 1);
        const std::string etag = put_part(digests_.parts[i], number, id);
        etags += unhex(etag);
        parts += listed(digests_.parts[i], number, etag);
      }
      Md5 md5;
      md5.update(bytes_of(etags));
      complete(id, parts, fmt::format("{}-{}", hex(md5.finish()), digests_.parts.size()));
    } catch (...) {
      client_.farewell(
          call("DELETE", {{"uploadId", id}}));  // or its parts are stored and paid for until somebody looks
      throw;
    }
  }

  // The ETag of the part.
  std::string put_part(const FilePart& part, const std::string& number, const std::string& id) {
    const S3Call put = upload_of(part, {{"partNumber", number}, {"uploadId", id}});
    const HttpResponse answer = client_.call(put);
    const std::string etag = etag_of(answer);
    if (!part.md5.empty() && etag_is_md5(answer) && etag != hex(part.md5))
      damaged(put, "the ETag of a part is not the MD5 of what was sent");
    const std::string_view sha256 = answer.header("x-amz-checksum-sha256");
    if (with_sha256_ && !sha256.empty() && sha256 != base64(text_of(part.sha256)))
      damaged(put, "the store tells another SHA-256 of a part than that of what was sent");
    return etag;
  }

  // What CompleteMultipartUpload wants to know of a part.
  std::string listed(const FilePart& part, const std::string& number, const std::string& etag) const {
    const std::string sha256 =
        with_sha256_ ? fmt::format("<ChecksumSHA256>{}</ChecksumSHA256>", base64(text_of(part.sha256))) : "";
    return fmt::format("<Part>{}<PartNumber>{}</PartNumber><ETag>&quot;{}&quot;</ETag></Part>", sha256, number,
                       xml_escaped(etag));
  }

  void complete(const std::string& id, const std::string& parts, const std::string& etag) {
    S3Call complete = call("POST", {{"uploadId", id}});
    complete.headers = {"Content-Type: application/xml"};
    complete.body = fmt::format(
        "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">{}</CompleteMultipartUpload>",
        parts);
    complete.may_fail_with_200 = true;
    const S3Client::Result result = client_.try_call(complete);
    if (!result.problem) return confirm(complete, etag);
    // The answer to a first try may have been lost after all was done.
    if (result.problem->cause == Cause::cancelled || !is_there(etag)) client_.fail(complete, *result.problem);
  }

  // Asks for the object: its size, and either the SHA-256 that it carries or the ETag that it must have.
  bool is_there(const std::string& etag) { return !fault_of(client_.try_call(call("HEAD")), etag); }

  void confirm(const S3Call& put, const std::string& etag) {
    const S3Client::Result head = client_.try_call(call("HEAD"));
    if (head.problem) client_.fail(put, *head.problem);
    if (const char* fault = fault_of(head, etag)) damaged(put, fault);
  }

  const char* fault_of(const S3Client::Result& head, const std::string& etag) const {
    if (head.problem) return "the store does not show it";
    if (head.response.header("content-length") != std::to_string(bytes_))
      return "the store shows another size than that of what was sent";
    const std::string_view sha256 = head.response.header(sha256_header);
    if (sha256.empty() && etag != etag_of(head.response))
      return "the store keeps no metadata and tells no checksum, so nothing proves what it holds";
    if (!sha256.empty() && sha256 != digests_.sha256) return "the store shows another object's checksum";
    return nullptr;
  }

  // A process that was killed left its parts behind. That some may not list uploads is no reason not to put.
  void abort_leftovers() {
    const S3Client::Result listed = client_.try_call(
        {.what = "list uploads of " + name_, .method = "GET", .query = {{"uploads", ""}, {"prefix", full_key_}}});
    const auto uploads = listed.problem ? std::nullopt : parse_xml(listed.response.body);
    if (!uploads) return;
    for (const XmlElement& upload : uploads->children) {
      if (upload.name == "Upload" && upload.value("Key") == full_key_)
        client_.try_call(call("DELETE", {{"uploadId", upload.value("UploadId")}}));
    }
  }

  S3Client& client_;
  std::string full_key_;
  std::string name_;
  std::string file_;
  Fd fd_;
  std::uint64_t bytes_ = 0;
  PartProof& proof_;
  bool with_sha256_ = false;  ///< parts are proven by SHA-256; otherwise by MD5
  FileDigests digests_;
};

}  // namespace

std::string etag_of(const HttpResponse& response) {
  std::string etag(response.header("etag"));
  std::erase(etag, '"');
  return etag;
}

bool etag_is_md5(const HttpResponse& response) {
  const std::string etag = etag_of(response);
  const std::string_view encryption = response.header("x-amz-server-side-encryption");
  const bool plain = (encryption.empty() || encryption == "AES256") &&
                     response.header("x-amz-server-side-encryption-customer-algorithm").empty();
  return plain && etag.size() == 32 && etag.find_first_not_of("0123456789abcdef") == std::string::npos;
}

void s3_upload(S3Client& client, const std::string& full_key, const std::string& name, const fs::path& file,
               std::uint64_t part_bytes, PartProof& proof) {
  Upload(client, full_key, name, file, proof).run(part_bytes);
}

}  // namespace trainctl
