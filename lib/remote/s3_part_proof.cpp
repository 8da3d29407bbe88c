#include "remote/s3_part_proof.h"

#include <fmt/core.h>

#include "base/log.h"
#include "remote/xml.h"

namespace trainctl {
namespace {

using Cause = RemoteError::Cause;

/// The last that S3 has, which no upload of a file of ours comes to.
constexpr const char* trial_number = "10000";

class Trial {
 public:
  Trial(S3Client& client, const std::string& full_key, const std::string& name, const HttpUpload& part)
      : client_(client), full_key_(full_key), name_(name), part_(part) {
    sha256_ =
        digest_file(part.fd, part.name, part.bytes, part.bytes, WithMd5::no, client.cancellation()).parts[0].sha256;
  }

  PartProof run() {
    S3Call create = call("POST", {{"uploads", ""}});
    create.headers = {"Content-Type: application/octet-stream", sha256_parts_header};
    const S3Client::Result created = client_.try_call(create);
    if (created.problem) return without(*created.problem);
    const std::string id = upload_id(created.response);
    if (id.empty()) return PartProof::md5;
    const PartProof proof = put_both(id);
    client_.farewell(call("DELETE", {{"uploadId", id}}));
    return proof;
  }

 private:
  S3Call call(const char* method, S3Query query) const {
    return {.what = "try checksums for " + name_, .method = method, .full_key = full_key_, .query = std::move(query)};
  }

  static PartProof without(const S3Problem& problem) {
    const bool passing = problem.cause == Cause::unreachable || problem.cause == Cause::cancelled;
    return passing ? PartProof::untried : PartProof::md5;
  }

  S3Client::Result put(const std::string& id, const Sha256::Digest& told) const {
    S3Call put = call("PUT", {{"partNumber", trial_number}, {"uploadId", id}});
    put.upload = part_;
    put.payload_sha256 = hex(text_of(sha256_));
    put.headers = {sha256_part_header(told)};
    put.again = false;
    return client_.try_call(put);
  }

  PartProof put_both(const std::string& id) const {
    Sha256::Digest wrong = sha256_;
    wrong[0] ^= 1;
    const S3Client::Result refused = put(id, wrong);
    if (!refused.problem) return PartProof::md5;
    if (refused.problem->cause == Cause::unreachable) return PartProof::untried;
    const S3Client::Result taken = put(id, sha256_);
    return taken.problem ? without(*taken.problem) : PartProof::sha256;
  }

  S3Client& client_;
  const std::string& full_key_;
  const std::string& name_;
  HttpUpload part_;
  Sha256::Digest sha256_{};
};

}  // namespace

std::string sha256_part_header(const Sha256::Digest& sha256) {
  return "x-amz-checksum-sha256: " + base64(text_of(sha256));
}

std::string upload_id(const HttpResponse& response) {
  const auto created = parse_xml(response.body);
  return created ? created->value("UploadId") : "";
}

PartProof try_part_proof(S3Client& client, const std::string& full_key, const std::string& name,
                         const HttpUpload& part) {
  const PartProof proof = Trial(client, full_key, name, part).run();
  if (proof != PartProof::untried)
    log::debug("{}: the store proves parts by {}", client.place().name(""),
               proof == PartProof::md5 ? "MD5" : "SHA-256");
  return proof;
}

}  // namespace trainctl
