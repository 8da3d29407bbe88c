// Where a bucket is, and how its objects are addressed.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace trainctl {

enum class S3Addressing { automatic, path, virtual_hosted };

/// Names and values of a query, in any order.
using S3Query = std::vector<std::pair<std::string, std::string>>;

/// What is wrong with a bucket's name by S3's rules (3 to 63 of a-z, 0-9, '-' and '.'), or "".
std::string bucket_fault(std::string_view bucket);
/// What is wrong with a prefix or key, or "".
std::string key_fault(std::string_view key);
/// What is wrong with an endpoint, or "". It never repeats what the endpoint holds before an '@'.
std::string endpoint_fault(std::string_view endpoint);
std::string region_fault(std::string_view region);

/// Percent-encodes all but RFC 3986's unreserved characters and, if `keep_slash`, '/': as the signature has it.
std::string percent_encoded(std::string_view text, bool keep_slash);

struct S3Place {
  std::string bucket;
  std::string prefix;    ///< "" or "runs/mine"
  std::string endpoint;  ///< "https://s3.eu-central-1.amazonaws.com", without a '/' at its end
  std::string region;
  bool virtual_hosted = false;  ///< the bucket's name is part of the host's

  /// `endpoint` is AWS's own for the region where none is given.
  static S3Place of(std::string bucket, std::string prefix, std::string region,
                    const std::optional<std::string>& endpoint, S3Addressing addressing);

  /// The key with the prefix before it.
  std::string full_key(std::string_view key) const;
  /// "s3://bucket/prefix/key"
  std::string name(std::string_view key) const;
  /// Of an object by its full key, or of the bucket; the query sorted and encoded as it has to be signed.
  std::string url(std::string_view full_key, S3Query query = {}) const;
};

}  // namespace trainctl
