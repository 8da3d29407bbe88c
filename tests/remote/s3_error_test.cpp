#include "remote/s3_error.h"

#include <doctest/doctest.h>

#include <string>

using namespace trainctl;

namespace {

using Cause = RemoteError::Cause;

const S3Place place = S3Place::of("lab", "runs", "us-east-1", "https://s3.example.org", S3Addressing::automatic);
const AwsCredentials keys{.access_key = "AKID", .secret_key = "hunter2", .session_token = "", .origin = "the keys"};

S3Problem problem(int status, const std::string& code, const std::string& message = "said") {
  HttpResponse response{.status = status, .headers = {}, .body = {}, .fault = {}};
  if (!code.empty()) response.body = "<Error><Code>" + code + "</Code><Message>" + message + "</Message></Error>";
  return s3_problem(response, place, keys);
}

}  // namespace

TEST_CASE("what passes is tried again, what is definite is not") {
  for (const auto& [status, code] : {std::pair(503, "SlowDown"),
                                     {500, "InternalError"},
                                     {500, ""},
                                     {502, ""},
                                     {503, ""},
                                     {504, ""},
                                     {429, ""},
                                     {408, ""},
                                     {400, "RequestTimeout"},
                                     {409, "OperationAborted"}}) {
    CAPTURE(status);
    CHECK(problem(status, code).again);
    CHECK(problem(status, code).cause == Cause::unreachable);
  }
  for (const auto& [status, code] : {std::pair(403, "AccessDenied"),
                                     {403, ""},
                                     {403, "SignatureDoesNotMatch"},
                                     {404, "NoSuchBucket"},
                                     {400, "ExpiredToken"},
                                     {403, "QuotaExceeded"},
                                     {507, ""},
                                     {400, "EntityTooLarge"},
                                     {400, "Odd"},
                                     {501, "NotImplemented"},
                                     {301, ""},
                                     {403, "RequestTimeTooSkewed"}}) {
    CAPTURE(status);
    CHECK_FALSE(problem(status, code).again);
    CHECK(problem(status, code).cause == Cause::refused);
  }
  CHECK(problem(404, "NoSuchKey").cause == Cause::missing);
  CHECK(problem(404, "").cause == Cause::missing);
  CHECK(problem(400, "BadDigest").cause == Cause::damaged);
}

TEST_CASE("waiting as long as the server asks, within reason") {
  const auto wait_s = [](const char* text) {
    const HttpResponse response{.status = 503, .headers = {{"retry-after", text}}, .body = {}, .fault = {}};
    return s3_problem(response, place, keys).retry_after_s;
  };
  CHECK(wait_s("3") == 3.0);
  CHECK(wait_s("9999999") == 60.0);
  CHECK(wait_s("-1") == 0.0);
  CHECK(wait_s("nan") == 0.0);
  CHECK(wait_s("Wed, 21 Oct 2026 07:28:00 GMT") == 0.0);
}

TEST_CASE("messages say what to do and hold no secret") {
  CHECK(problem(403, "SignatureDoesNotMatch").text.find("check the keys") != std::string::npos);
  CHECK(problem(403, "AccessDenied").text.find("s3://lab/runs") != std::string::npos);
  const std::string text = problem(400, "Odd", "your hunter2 of AKID &#27;[31m").text;
  CHECK(text.find("hunter2") == std::string::npos);
  CHECK(text.find("AKID") == std::string::npos);
  CHECK(text.find('\x1b') == std::string::npos);
  CHECK(text.find("your *** of ***") != std::string::npos);
}

TEST_CASE("the difference of clocks comes from the answer's date") {
  HttpResponse response{.status = 403, .headers = {{"date", "Thu, 01 Jan 1970 00:00:00 GMT"}}, .body = {}, .fault = {}};
  response.body = "<Error><Code>RequestTimeTooSkewed</Code></Error>";
  CHECK(s3_problem(response, place, keys).text.find("ahead of the server's") != std::string::npos);
  response.headers["date"] = "Fri, 01 Jan 2100 00:00:00 GMT";
  CHECK(s3_problem(response, place, keys).text.find("behind the server's") != std::string::npos);
}
