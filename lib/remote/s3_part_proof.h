// How a store proves that a part arrived as it was sent.
#pragma once

#include <cstdint>
#include <string>

#include "remote/file_digests.h"
#include "remote/s3_client.h"

namespace trainctl {

/// The checksum that a server is known to verify. SHA-256 is there for the signature already; MD5 takes 1.2 s of a
/// processor more for each GiB.
enum class PartProof : std::uint8_t { untried, sha256, md5 };

/// The header that begins an upload whose parts come with their SHA-256.
inline constexpr const char* sha256_parts_header = "x-amz-checksum-algorithm: SHA256";
/// The header that comes with such a part.
std::string sha256_part_header(const Sha256::Digest& sha256);

/// The UploadId in the answer to a request for an upload, or "".
std::string upload_id(const HttpResponse& response);

/// Tries a store by an upload that is not completed: who knows x-amz-checksum-sha256 verifies it, others pass over it
/// or refuse it, so it is `sha256` of one that refuses a part with a wrong checksum and takes it with the right one.
/// The part is `bytes` from the beginning of an open file. `untried` where nothing can be told just now.
PartProof try_part_proof(S3Client& client, const std::string& full_key, const std::string& name,
                         const HttpUpload& part);

}  // namespace trainctl
