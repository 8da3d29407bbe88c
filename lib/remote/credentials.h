// AWS's usual places for credentials, region and endpoint.
//
// Credentials are AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN of the environment, or those of a
// profile in AWS_SHARED_CREDENTIALS_FILE (~/.aws/credentials) or AWS_CONFIG_FILE (~/.aws/config); AWS_PROFILE names it.
// Nowhere else do they come from, and no message holds any of them.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace trainctl {

struct AwsCredentials {
  std::string access_key;
  std::string secret_key;
  std::string session_token;  ///< "" for lasting credentials
  std::string origin;         ///< for messages: "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"

  bool same_keys(const AwsCredentials& other) const {
    return access_key == other.access_key && secret_key == other.secret_key && session_token == other.session_token;
  }
  /// `text` with every occurrence of them replaced.
  std::string scrubbed(std::string_view text) const;
};

/// Reads the environment and the files as they are now. Throws an environment Error that says what is missing and where
/// it would be looked for.
AwsCredentials load_aws_credentials();

/// AWS_REGION, AWS_DEFAULT_REGION or the profile's `region`.
std::optional<std::string> aws_region();
/// AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL or the profile's `endpoint_url`.
std::optional<std::string> aws_s3_endpoint();

}  // namespace trainctl
