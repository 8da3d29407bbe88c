// A file's checksums, as S3 asks for them.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
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
std::string base64(std::string_view bytes);

struct FilePart {
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
  std::string sha256;  ///< in hex
  std::string md5;     ///< its 16 bytes, or none
};

struct FileDigests {
  std::uint64_t bytes = 0;
  std::string sha256;           ///< of all, in hex
  std::vector<FilePart> parts;  ///< one at least, if only of 0 bytes
};

/// Reads the first `bytes` of an open file once, in parts of `part_bytes`. Throws a data Error where it has become
/// shorter, and a RemoteError when it is cancelled.
FileDigests digest_file(int fd, const std::string& name, std::uint64_t bytes, std::uint64_t part_bytes,
                        const Cancellation& cancellation);

}  // namespace trainctl
