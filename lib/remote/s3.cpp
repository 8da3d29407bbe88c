#include <fmt/core.h>

#include <optional>
#include <string>
#include <utility>

#include "base/text.h"
#include "remote/credentials.h"
#include "remote/remote.h"
#include "remote/s3_place.h"
#include "remote/s3_store.h"

namespace trainctl {

template <>
struct EnumNames<S3Addressing> {
  static constexpr EnumName<S3Addressing> names[] = {
      {S3Addressing::automatic, "auto"}, {S3Addressing::path, "path"}, {S3Addressing::virtual_hosted, "virtual"}};
};

namespace {

constexpr std::uint64_t mebibyte = 1 << 20;
constexpr const char* usual_region = "us-east-1";

/// A bucket of Amazon's S3, or of a server that speaks as it does (MinIO, Ceph, SeaweedFS, R2, ...).
///
/// There are no fields for credentials: remote/credentials.h says where they come from.
struct S3 final : Remote {
  std::string bucket;
  std::string prefix;
  std::optional<std::string> endpoint;
  std::optional<std::string> region;
  S3Addressing addressing = S3Addressing::automatic;
  std::int64_t part_size = 16;
  std::int64_t retries = 4;
  WallTime timeout{60.0};

  static Schema<S3> schema() {
    return Schema<S3>(
               "A bucket of S3, Amazon's or any server's that speaks as it does. Credentials come from "
               "AWS_ACCESS_KEY_ID, "
               "AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, or from the profile AWS_PROFILE of ~/.aws/credentials, "
               "never "
               "from an experiment. Objects carry their SHA-256.")
        .required("bucket", &S3::bucket, "The bucket's name.")
        .field("prefix", &S3::prefix, "What stands before all keys, as in `team/runs`.")
        .field("endpoint", &S3::endpoint,
               "The server, as in `https://minio.example.org:9000`. By default AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL "
               "or the "
               "profile's `endpoint_url`, else Amazon's for the region.")
        .field("region", &S3::region,
               "Where the bucket is. By default AWS_REGION, AWS_DEFAULT_REGION or the profile's, else us-east-1.")
        .field("addressing", &S3::addressing,
               "Whether the bucket's name is in the path or in the host's name. `auto`: in the path where an endpoint "
               "is given.")
        .field("part_size", &S3::part_size, between(5, 5120), unit("MiB"),
               "Larger files are sent in parts of this size; those of more than 10,000 in larger ones.")
        .field("retries", &S3::retries, between(0, 20),
               "How often a request is tried again, with pauses that grow to 20 s, when the server is busy or out of "
               "reach.")
        .field("timeout", &S3::timeout, at_least(1),
               "A request during which nothing moves for so long is given up, and tried again.")
        .example("{type: s3, bucket: my-lab, prefix: runs}")
        .example("{type: s3, bucket: runs, endpoint: \"https://minio.example.org:9000\"}");
  }

  void check(Diagnostics& diagnostics, const Node& node) const {
    const auto note = [&](const char* field, const std::string& value, const std::string& fault) {
      if (fault.empty()) return;
      const Diagnostics::Scope scope(diagnostics, field);
      const Node* written = node.find(field);
      Source source = written ? written->source() : node.source();
      if (value.find('@') == std::string::npos)
        return diagnostics.error(source, fmt::format("{}, got '{}'.", fault, printable(value)));
      source.column = 0;  // so that the line is not shown: it holds a password
      diagnostics.error(source, fault + '.');
    };
    note("bucket", bucket, bucket_fault(bucket));
    if (!prefix.empty()) note("prefix", prefix, key_fault(prefix));
    if (endpoint) note("endpoint", *endpoint, endpoint_fault(*endpoint));
    if (region) note("region", *region, region_fault(*region));
  }

  std::string_view scheme() const override { return "s3"; }

  std::vector<std::pair<std::string, std::string>> fields_of(std::string_view place) const override {
    const std::size_t slash = std::min(place.find('/'), place.size());
    std::string_view rest = place.substr(std::min(slash + 1, place.size()));
    while (rest.ends_with('/')) rest.remove_suffix(1);
    std::vector<std::pair<std::string, std::string>> fields{{"bucket", std::string(place.substr(0, slash))}};
    if (!rest.empty()) fields.emplace_back("prefix", rest);
    return fields;
  }

  std::unique_ptr<ObjectStore> open() const override {
    const auto place_region = region ? region : aws_region();
    const auto url = endpoint ? endpoint : aws_s3_endpoint();
    // What the spec says has been checked; what the environment says, not.
    if (const std::string fault = region_fault(place_region.value_or(usual_region)); !fault.empty())
      fail(ErrorKind::environment, "the region in AWS_REGION, AWS_DEFAULT_REGION or the profile {}", fault);
    if (const std::string fault = url ? endpoint_fault(*url) : ""; !fault.empty())
      fail(ErrorKind::environment, "the endpoint in AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL or the profile {}", fault);
    return std::make_unique<S3Store>(S3Place::of(bucket, prefix, place_region.value_or(usual_region), url, addressing),
                                     load_aws_credentials(),
                                     S3Limits{.retries = static_cast<int>(retries), .stall_s = timeout.seconds},
                                     static_cast<std::uint64_t>(part_size) * mebibyte);
  }
};

const Register<Remote, S3> registered{"s3"};

}  // namespace
}  // namespace trainctl
