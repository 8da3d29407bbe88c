#include "remote/s3_error.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <ctime>
#include <optional>
#include <utility>

#include "base/clock.h"
#include "base/text.h"
#include "remote/xml.h"

namespace trainctl {
namespace {

using Cause = RemoteError::Cause;

constexpr std::size_t longest_message = 300;
constexpr double longest_retry_after_s = 60.0;

template <typename Value, typename... Others>
bool is_one_of(const Value& value, Others... others) {
  return ((value == others) || ...);
}

// Host and port, for messages.
std::string host_of(const S3Place& place) {
  const std::string_view rest = std::string_view(place.endpoint).substr(place.endpoint.find("://") + 3);
  return std::string(rest.substr(0, rest.find('/')));
}

S3Problem of_fault(const HttpFault& fault, const S3Place& place) {
  const std::string text = printable(fault.message, longest_message);
  switch (fault.kind) {
    case HttpFault::Kind::cancelled:
      return {.cause = Cause::cancelled, .code = {}, .text = "cancelled"};
    case HttpFault::Kind::certificate:
      return {.cause = Cause::refused,
              .code = {},
              .text = fmt::format(
                  "the certificate of {} is not accepted: {}. If it is signed by an authority of your own, name a "
                  "file with its certificate in AWS_CA_BUNDLE",
                  host_of(place), text)};
    case HttpFault::Kind::setup:
      return {.cause = Cause::refused,
              .code = {},
              .text = fmt::format("the request cannot be made: {}; check the endpoint {}", text, place.endpoint)};
    case HttpFault::Kind::stalled:
    case HttpFault::Kind::connection:
      break;
  }
  return {.cause = Cause::unreachable,
          .again = true,
          .code = {},
          .text = fmt::format("no answer from {}: {}", host_of(place), text)};
}

std::string skew_text(const HttpResponse& response) {
  const auto theirs = response.date();
  if (!theirs) return "this machine's clock differs too much from the server's: set it (NTP)";
  const double ahead_s = std::difftime(std::time(nullptr), static_cast<std::time_t>(*theirs));
  return fmt::format("this machine's clock is {} {} the server's, too much for a signature: set it (NTP)",
                     human_duration(std::abs(ahead_s)), ahead_s >= 0 ? "ahead of" : "behind");
}

// The region that a bucket is in, from whichever place the server tells it.
std::string region_hint(const HttpResponse& response, const std::optional<XmlElement>& error) {
  std::string region(response.header("x-amz-bucket-region"));
  if (region.empty() && error) region = error->value("Region");
  return region_fault(region).empty() ? region : "";
}

// What we say ourselves about a code, with advice; "" where the server's own words have to do.
std::string advice(std::string_view code, const HttpResponse& response, const std::optional<XmlElement>& error,
                   const S3Place& place, const AwsCredentials& credentials) {
  const std::string host = host_of(place);
  if (code == "InvalidAccessKeyId")
    return fmt::format("{} does not know the access key: check {}", host, credentials.origin);
  if (code == "SignatureDoesNotMatch")
    return fmt::format("{} refuses the signature: the secret key does not belong to the access key; check {}", host,
                       credentials.origin);
  if (is_one_of(code, "ExpiredToken", "TokenRefreshRequired"))
    return fmt::format("the session token has expired: renew {}", credentials.origin);
  if (code == "InvalidToken") return fmt::format("{} refuses the session token: check {}", host, credentials.origin);
  if (code == "RequestTimeTooSkewed") return skew_text(response);
  if (is_one_of(code, "AccessDenied", "AllAccessDisabled", "AccountProblem"))
    return fmt::format(
        "{} does not allow this with {}: the bucket's owner has to permit reading, writing, listing and deleting in {}",
        host, credentials.origin, place.name(""));
  if (code == "NoSuchBucket")
    return fmt::format("{} has no bucket '{}': create it, or check `bucket`, `endpoint` and `region` ({})", host,
                       place.bucket, place.region);
  if (is_one_of(code, "PermanentRedirect", "AuthorizationHeaderMalformed", "TemporaryRedirect",
                "IllegalLocationConstraintException", "Redirect", "IncorrectEndpoint")) {
    const std::string region = region_hint(response, error);
    if (!region.empty() && region != place.region)
      return fmt::format("the bucket '{}' is in the region {}, not in {}: set `region: {}`", place.bucket, region,
                         place.region, region);
    return fmt::format("the bucket '{}' is not where {} was asked for it: check `region` ({}) and `endpoint`",
                       place.bucket, host, place.region);
  }
  if (code == "EntityTooLarge") return fmt::format("the object is larger than {} takes", host);
  return "";
}

bool is_full(const HttpResponse& response, std::string_view code) {
  return response.status == 507 || is_one_of(code, "QuotaExceeded", "QuotaExceededException", "InsufficientStorage",
                                             "StorageFull", "XMinioStorageFull", "XMinioAdminBucketQuotaExceeded",
                                             "ServiceQuotaExceeded", "StorageQuotaExceeded");
}

bool is_passing(const HttpResponse& response, std::string_view code) {
  if (is_one_of(code, "RequestTimeout", "SlowDown", "InternalError", "ServiceUnavailable", "OperationAborted",
                "Throttling", "ThrottlingException", "TooManyRequests", "RequestLimitExceeded", "IncompleteBody",
                "ConditionalRequestConflict", "ServerBusy"))
    return true;
  return is_one_of(response.status, 408, 429, 500, 502, 503, 504);
}

double retry_after_s(const HttpResponse& response) {
  const std::string text(response.header("retry-after"));  // seconds; a date is not worth reading
  if (text.empty()) return 0.0;
  const double seconds = std::strtod(text.c_str(), nullptr);
  return std::isfinite(seconds) ? std::clamp(seconds, 0.0, longest_retry_after_s) : 0.0;
}

// Some answers have no body: those to HEAD, and of proxies.
std::string code_of_status(int status) {
  if (status == 403) return "AccessDenied";
  if (status == 301 || status == 307) return "PermanentRedirect";
  return "";
}

}  // namespace

std::string s3_error_code(std::string_view body) {
  const auto error = parse_xml(body);
  return error && error->name == "Error" ? error->value("Code") : "";
}

S3Problem s3_problem(const HttpResponse& response, const S3Place& place, const AwsCredentials& credentials) {
  if (response.fault) return of_fault(*response.fault, place);
  std::optional<XmlElement> error = parse_xml(response.body);
  if (error && error->name != "Error") error.reset();

  const auto cleaned = [&](std::string_view text) { return printable(credentials.scrubbed(text), longest_message); };
  S3Problem problem{.code = error ? error->value("Code") : "", .text = {}};
  const std::string code = problem.code.empty() ? code_of_status(response.status) : problem.code;
  const std::string said = error ? cleaned(error->value("Message")) : "";
  std::string short_answer = std::to_string(response.status);
  if (!problem.code.empty()) short_answer += ' ' + cleaned(problem.code);
  std::string answer = fmt::format("{} answers {}", host_of(place), short_answer);
  if (!said.empty()) answer += fmt::format(" (\"{}\")", said);

  problem.credentials = is_one_of(code, "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken",
                                  "TokenRefreshRequired", "AccessDenied");
  if (is_full(response, code)) {
    problem.cause = Cause::refused;
    problem.text =
        fmt::format("there is no space left in the bucket '{}', or its quota is used up: {}", place.bucket, answer);
  } else if (is_one_of(code, "BadDigest", "XAmzContentSHA256Mismatch", "InvalidDigest")) {
    problem.cause = Cause::damaged;
    problem.again = true;
    problem.text = fmt::format(
        "other bytes arrived than were read: the file changed meanwhile, or the network damages data; {}", answer);
  } else if (is_one_of(code, "NoSuchKey", "NoSuchUpload") ||
             (response.status == 404 && code.empty() && response.body.empty())) {
    problem.cause = Cause::missing;
    problem.text = code == "NoSuchUpload" ? "the store no longer knows of the upload" : "there is no such object";
  } else if (const std::string known = advice(code, response, error, place, credentials); !known.empty()) {
    problem.cause = Cause::refused;
    // Who may do what is the one thing that the server knows better.
    problem.text =
        code == "AccessDenied" ? fmt::format("{}; {}", known, answer) : fmt::format("{} ({})", known, short_answer);
  } else if (is_passing(response, code)) {
    problem.again = true;
    problem.retry_after_s = retry_after_s(response);
    problem.text = answer;
  } else {
    problem.cause = Cause::refused;
    problem.text =
        error ? answer : fmt::format("{}, and not as S3 does: check the endpoint {}", answer, place.endpoint);
  }
  return problem;
}

}  // namespace trainctl
