// Files to objects and back.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "remote/s3_client.h"
#include "remote/s3_part_proof.h"

namespace trainctl {

/// The header with which an object carries its checksum, a PartedSha256.
inline constexpr const char* sha256_header = "x-amz-meta-sha256";

/// Puts a file, in parts of `part_bytes` if it is larger (S3 has 10,000 at most, so very large files have larger ones).
/// The server is told checksums of what it is to get; when all is there, its size and checksum are asked for. `proof`
/// is what is known of the server, and found out at the first file that needs it.
void s3_upload(S3Client& client, const std::string& full_key, const std::string& name,
               const std::filesystem::path& file, std::uint64_t part_bytes, PartProof& proof);

/// Gets an object to a temporary file beside `file`, going on where a connection broke, and renames it once its SHA-256
/// (or MD5, where the object was not put by this program) is right.
void s3_download(S3Client& client, const std::string& full_key, const std::string& name,
                 const std::filesystem::path& file);

/// An ETag without quotes.
std::string etag_of(const HttpResponse& response);
/// Whether an ETag is an object's MD5: 32 hex digits, and the object not encrypted with a key that the server has not.
bool etag_is_md5(const HttpResponse& response);

}  // namespace trainctl
