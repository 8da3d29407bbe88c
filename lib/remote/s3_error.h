// What an answer of S3, or its absence, means, and what to do about it.
#pragma once

#include <string>
#include <string_view>

#include "remote/credentials.h"
#include "remote/http.h"
#include "remote/object_store.h"
#include "remote/s3_place.h"

namespace trainctl {

struct S3Problem {
  RemoteError::Cause cause = RemoteError::Cause::unreachable;
  bool again = false;          ///< the same request may succeed soon
  bool credentials = false;    ///< other credentials may help
  double retry_after_s = 0.0;  ///< what the server asks for
  std::string code;            ///< S3's own: "SlowDown", or ""
  std::string text;            ///< what and why, and what to do
};

/// Of an answer that is no success, or of one that holds an <Error> all the same.
S3Problem s3_problem(const HttpResponse& response, const S3Place& place, const AwsCredentials& credentials);
/// The code of the <Error> that a body is, or "".
std::string s3_error_code(std::string_view body);

}  // namespace trainctl
