#include "remote/file_digests.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/error.h"
#include "base/sha256.h"
#include "remote/object_store.h"

namespace trainctl {
namespace {

constexpr std::size_t buffer_bytes = 1 << 20;

}  // namespace

void Md5::Free::operator()(EVP_MD_CTX* context) const {
  EVP_MD_CTX_free(context);
}

Md5::Md5() {
  restart();
}
Md5::~Md5() = default;

void Md5::restart() {
  context_.reset(EVP_MD_CTX_new());
  if (context_ && EVP_DigestInit_ex(context_.get(), EVP_md5(), nullptr) != 1) context_.reset();
}

void Md5::update(ByteSpan bytes) {
  if (context_) EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size());
}

std::string Md5::finish() {
  if (!context_) return "";
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned size = 0;
  const bool done = EVP_DigestFinal_ex(context_.get(), digest.data(), &size) == 1;
  restart();
  return done ? std::string(reinterpret_cast<const char*>(digest.data()), size) : "";
}

std::string hex(std::string_view bytes) {
  constexpr char digits[] = "0123456789abcdef";
  std::string text;
  for (const unsigned char byte : bytes) {
    text += digits[byte >> 4];
    text += digits[byte & 15];
  }
  return text;
}

std::string base64(std::string_view bytes) {
  std::string text((bytes.size() + 2) / 3 * 4 + 1, '\0');
  text.resize(static_cast<std::size_t>(EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                                                       reinterpret_cast<const unsigned char*>(bytes.data()),
                                                       static_cast<int>(bytes.size()))));
  return text;
}

FileDigests digest_file(int fd, const std::string& name, std::uint64_t bytes, std::uint64_t part_bytes,
                        const Cancellation& cancellation) {
  const auto buffer = std::make_unique_for_overwrite<std::byte[]>(buffer_bytes);
  FileDigests digests{.bytes = bytes, .sha256 = {}, .parts = {}};
  Sha256 whole;
  Sha256 part_sha;
  Md5 part_md5;
  std::uint64_t done = 0;
  do {
    FilePart part{.offset = done, .bytes = std::min(part_bytes, bytes - done), .sha256 = {}, .md5 = {}};
    const std::uint64_t end = done + part.bytes;
    while (done < end) {
      if (cancellation.cancelled()) throw RemoteError(RemoteError::Cause::cancelled, "cancelled");
      const ssize_t got =
          ::pread(fd, buffer.get(), std::min<std::uint64_t>(buffer_bytes, end - done), static_cast<off_t>(done));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) fail_io(name, "read", errno);
      if (got == 0) fail(ErrorKind::data, "{}: was cut short to {} bytes while it was copied", name, done);
      const ByteSpan read(buffer.get(), static_cast<std::size_t>(got));
      if (bytes > part_bytes) whole.update(read);
      part_sha.update(read);
      part_md5.update(read);
      done += read.size();
    }
    part.sha256 = part_sha.finish_hex();
    part.md5 = part_md5.finish();
    digests.parts.push_back(std::move(part));
  } while (done < bytes);
  digests.sha256 = bytes > part_bytes ? whole.finish_hex() : digests.parts[0].sha256;
  return digests;
}

}  // namespace trainctl
