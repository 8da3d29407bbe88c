// Objects in a bucket of S3, or of a server that speaks as S3 does.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "remote/object_store.h"
#include "remote/s3_client.h"
#include "remote/s3_transfer.h"

namespace trainctl {

class S3Store final : public ObjectStore {
 public:
  S3Store(S3Place place, AwsCredentials credentials, S3Limits limits, std::uint64_t part_bytes);

  std::string url(std::string_view key) const override { return client_.place().name(key); }
  /// Throws an Error that is no RemoteError where the file itself cannot be read.
  void put(std::string_view key, const std::filesystem::path& file) override;
  /// Throws an Error that is no RemoteError where the file cannot be written.
  void get(std::string_view key, const std::filesystem::path& file) override;
  std::optional<RemoteObject> find(std::string_view key) override;
  std::vector<RemoteObject> list(std::string_view prefix) override;
  void remove(std::string_view key) override;
  void cancel() override { client_.cancellation().cancel(); }

 private:
  std::string checked_key(std::string_view key) const;
  /// One answer to a request for a list, its objects appended; where to go on, or "".
  std::string list_page(const S3Call& call, std::vector<RemoteObject>& objects);

  S3Client client_;
  std::uint64_t part_bytes_;
  PartProof proof_ = PartProof::untried;
};

}  // namespace trainctl
