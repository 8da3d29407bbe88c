// A file's checksums, as S3 asks for them.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "base/sha256.h"
#include "remote/cancellation.h"

struct evp_md_ctx_st;

namespace trainctl {

/// MD5 (RFC 1321): here no proof against forgers, but what S3's Content-MD5 and ETag are. Where OpenSSL may not offer
/// it (FIPS), its results are empty.
class Md5 {
 public:
  Md5();
  ~Md5();
  Md5(const Md5&) = delete;
  void update(ByteSpan bytes);
  /// The 16 bytes, or none; afterwards the object starts anew.
  std::string finish();

 private:
  struct Free {
    void operator()(evp_md_ctx_st* context) const;
  };
  void restart();
  std::unique_ptr<evp_md_ctx_st, Free> context_;
};

std::string hex(std::string_view bytes);
/// The bytes of lower-case hex digits, or "" of other text.
std::string unhex(std::string_view digits);
std::string base64(std::string_view bytes);
/// A digest as text.
inline std::string_view text_of(const Sha256::Digest& digest) {
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

/// The checksum of a whole that is read once, each byte hashed once, though its parts need theirs as well. Of at most
/// `part_bytes` it is the SHA-256 in hex. Of more it is "HEX-PART_BYTES": the SHA-256 of the SHA-256s (32 bytes each)
/// of its parts, in their order, of `part_bytes` each but for the last; S3's own composite checksum is the same.
class PartedSha256 {
 public:
  explicit PartedSha256(std::uint64_t part_bytes) : part_bytes_(part_bytes) {}
  /// Of the length of parts that a checksum tells; nothing if the text is no such checksum.
  static std::optional<PartedSha256> like(std::string_view checksum);

  void update(ByteSpan bytes);
  struct Result {
    std::string whole;
    std::vector<Sha256::Digest> parts;  ///< one at least
  };
  /// Afterwards the object starts anew.
  Result finish();

 private:
  std::uint64_t part_bytes_;
  std::uint64_t in_part_ = 0;
  Sha256 part_;
  std::vector<Sha256::Digest> parts_;
};

struct FilePart {
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
  Sha256::Digest sha256{};
  std::string md5;  ///< its 16 bytes, or none
};

struct FileDigests {
  std::uint64_t bytes = 0;
  std::string sha256;           ///< of all, as PartedSha256 tells it
  std::vector<FilePart> parts;  ///< one at least, if only of 0 bytes
};

enum class WithMd5 : bool { no, yes };

/// Reads the first `bytes` of an open file once, in parts of `part_bytes`. Throws a data Error where it has become
/// shorter, and a RemoteError when it is cancelled.
FileDigests digest_file(int fd, const std::string& name, std::uint64_t bytes, std::uint64_t part_bytes, WithMd5 md5,
                        const Cancellation& cancellation);

}  // namespace trainctl
