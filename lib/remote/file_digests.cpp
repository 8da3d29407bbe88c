#include "remote/file_digests.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <openssl/evp.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <limits>
#include <system_error>
#include <utility>

#include "base/error.h"
#include "remote/object_store.h"
#include "remote/pace.h"

namespace trainctl {
namespace {

constexpr std::size_t buffer_bytes = 1 << 20;
/// What a checksum may tell of parts: each costs memory, and S3 has none below 5 MiB but the last.
constexpr std::uint64_t least_part_bytes = 1 << 20;

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

std::string unhex(std::string_view digits) {
  if (digits.size() % 2 != 0 || digits.find_first_not_of("0123456789abcdef") != digits.npos) return "";
  const auto value = [](char digit) { return digit <= '9' ? digit - '0' : digit - 'a' + 10; };
  std::string bytes;
  for (std::size_t i = 0; i < digits.size(); i += 2)
    bytes += static_cast<char>(16 * value(digits[i]) + value(digits[i + 1]));
  return bytes;
}

std::string base64(std::string_view bytes) {
  std::string text((bytes.size() + 2) / 3 * 4 + 1, '\0');
  text.resize(static_cast<std::size_t>(EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                                                       reinterpret_cast<const unsigned char*>(bytes.data()),
                                                       static_cast<int>(bytes.size()))));
  return text;
}

std::optional<PartedSha256> PartedSha256::like(std::string_view checksum) {
  constexpr std::size_t digits = 64;
  if (checksum.size() < digits || checksum.substr(0, digits).find_first_not_of("0123456789abcdef") != checksum.npos)
    return {};
  if (checksum.size() == digits) return PartedSha256(std::numeric_limits<std::uint64_t>::max());
  std::uint64_t part_bytes = 0;
  const auto [end, error] =
      std::from_chars(checksum.data() + digits + 1, checksum.data() + checksum.size(), part_bytes);
  if (checksum[digits] != '-' || error != std::errc() || end != checksum.data() + checksum.size() ||
      part_bytes < least_part_bytes)
    return {};
  return PartedSha256(part_bytes);
}

void PartedSha256::update(ByteSpan bytes) {
  while (!bytes.empty()) {
    if (in_part_ == part_bytes_) {
      parts_.push_back(part_.finish());
      in_part_ = 0;
    }
    const ByteSpan now = bytes.first(std::min<std::uint64_t>(bytes.size(), part_bytes_ - in_part_));
    part_.update(now);
    in_part_ += now.size();
    bytes = bytes.subspan(now.size());
  }
}

PartedSha256::Result PartedSha256::finish() {
  parts_.push_back(part_.finish());
  in_part_ = 0;
  Result result{.whole = hex(text_of(parts_[0])), .parts = std::exchange(parts_, {})};
  if (result.parts.size() == 1) return result;
  Sha256 all;
  for (const Sha256::Digest& part : result.parts) all.update(text_of(part));
  result.whole = fmt::format("{}-{}", all.finish_hex(), part_bytes_);
  return result;
}

FileDigests digest_file(int fd, const std::string& name, std::uint64_t bytes, std::uint64_t part_bytes, WithMd5 md5,
                        const Cancellation& cancellation) {
  const auto buffer = std::make_unique_for_overwrite<std::byte[]>(buffer_bytes);
  FileDigests digests{.bytes = bytes, .sha256 = {}, .parts = {}};
  PartedSha256 sha256(part_bytes);
  Md5 part_md5;
  std::uint64_t done = 0;
  do {
    FilePart part{.offset = done, .bytes = std::min(part_bytes, bytes - done), .sha256 = {}, .md5 = {}};
    const std::uint64_t end = done + part.bytes;
    while (done < end) {
      Pace::keep();
      if (cancellation.cancelled()) throw RemoteError(RemoteError::Cause::cancelled, "cancelled");
      const ssize_t got =
          ::pread(fd, buffer.get(), std::min<std::uint64_t>(buffer_bytes, end - done), static_cast<off_t>(done));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) fail_io(name, "read", errno);
      if (got == 0) fail(ErrorKind::data, "{}: was cut short to {} bytes while it was copied", name, done);
      const ByteSpan read(buffer.get(), static_cast<std::size_t>(got));
      sha256.update(read);
      if (md5 == WithMd5::yes) part_md5.update(read);
      done += read.size();
    }
    if (md5 == WithMd5::yes) part.md5 = part_md5.finish();
    digests.parts.push_back(std::move(part));
  } while (done < bytes);
  PartedSha256::Result sums = sha256.finish();
  digests.sha256 = std::move(sums.whole);
  for (std::size_t i = 0; i < sums.parts.size(); ++i) digests.parts.at(i).sha256 = sums.parts[i];
  return digests;
}

}  // namespace trainctl
