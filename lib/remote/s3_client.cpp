#include "remote/s3_client.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <utility>

#include "base/log.h"
#include "base/sha256.h"

namespace trainctl {
namespace {

constexpr double farewell_s = 2.0;

}  // namespace

S3Client::S3Client(S3Place place, AwsCredentials credentials, S3Limits limits)
    : place_(std::move(place)),
      credentials_(std::move(credentials)),
      limits_(limits),
      http_(HttpOptions{.stall_s = limits.stall_s}, cancellation_) {}

HttpResponse S3Client::once(const S3Call& call, HttpClient& http) const {
  HttpRequest request{.method = call.method,
                      .url = place_.url(call.full_key, call.query),
                      .headers = call.headers,
                      .body = call.body,
                      .upload = call.upload,
                      .sink = call.sink};
  if (call.more_headers) {
    for (std::string& line : call.more_headers()) request.headers.push_back(std::move(line));
  }
  request.headers.push_back("x-amz-content-sha256: " + (call.upload ? call.payload_sha256 : sha256_hex(call.body)));
  if (!credentials_.session_token.empty())
    request.headers.push_back("x-amz-security-token: " + credentials_.session_token);
  return http.perform(request, {.region = place_.region,
                                .service = "s3",
                                .access_key = credentials_.access_key,
                                .secret_key = credentials_.secret_key});
}

bool S3Client::renew_credentials() {
  try {
    AwsCredentials now = load_aws_credentials();
    if (now.same_keys(credentials_)) return false;
    credentials_ = std::move(now);
    return true;
  } catch (const Error&) {
    return false;  // what the server said tells more
  }
}

double S3Client::wait_s(int tries, const S3Problem& problem) {
  thread_local std::minstd_rand random{std::random_device{}()};
  const double longest = std::min(limits_.longest_wait_s, limits_.first_wait_s * std::exp2(tries));
  return std::max(problem.retry_after_s, std::uniform_real_distribution(longest / 2, longest)(random));
}

S3Client::Result S3Client::try_call(const S3Call& call) {
  bool renewed = false;
  std::uint64_t reached = 0;
  for (int tries = 0;; ++tries) {
    Result result{once(call, http_), std::nullopt};
    const bool failed = call.may_fail_with_200 && !s3_error_code(result.response.body).empty();
    if (result.response.ok() && !failed) return result;
    result.problem = s3_problem(result.response, place_, credentials_);
    const S3Problem& problem = *result.problem;
    if (problem.credentials && !std::exchange(renewed, true) && renew_credentials()) continue;
    if (const std::uint64_t now = call.progress ? call.progress() : 0; now > reached) reached = now, tries = 0;
    if (!problem.again || !call.again || tries >= limits_.retries) return result;
    const double pause_s = wait_s(tries, problem);
    log::debug("{}: {}; trying again in {:.1f} s", call.what, problem.text, pause_s);
    if (!cancellation_.sleep(pause_s)) {
      result.problem = S3Problem{.cause = RemoteError::Cause::cancelled, .code = {}, .text = "cancelled"};
      return result;
    }
  }
}

HttpResponse S3Client::call(const S3Call& call) {
  Result result = try_call(call);
  if (result.problem) fail(call, *result.problem);
  return std::move(result.response);
}

void S3Client::fail(const S3Call& call, const S3Problem& problem) const {
  throw RemoteError(problem.cause, fmt::format("cannot {}: {}", call.what, problem.text));
}

bool S3Client::farewell(const S3Call& call) {
  try {
    Cancellation never;
    HttpClient http({.stall_s = farewell_s, .connect_s = farewell_s}, never);
    http.limit(farewell_s);
    return once(call, http).ok();
  } catch (const std::exception&) {
    return false;
  }
}

}  // namespace trainctl
