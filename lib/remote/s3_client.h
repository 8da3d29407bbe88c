// Requests to a bucket: signed, tried again where that may help, and told in words where it does not.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "remote/cancellation.h"
#include "remote/credentials.h"
#include "remote/http.h"
#include "remote/object_store.h"
#include "remote/s3_error.h"
#include "remote/s3_place.h"

namespace trainctl {

struct S3Limits {
  int retries = 4;            ///< tries after the first
  double first_wait_s = 0.5;  ///< doubled with each try
  double longest_wait_s = 20.0;
  double stall_s = 60.0;
};

/// One request. `what` names it in messages: "put s3://bucket/key".
struct S3Call {
  std::string what;
  std::string method;
  std::string full_key = {};  ///< "" for the bucket
  S3Query query = {};
  std::vector<std::string> headers = {};
  std::string body = {};
  std::optional<HttpUpload> upload = {};
  std::string payload_sha256 = {};  ///< of an upload, in hex
  HttpSink* sink = nullptr;
  /// Further headers, asked for before each try.
  std::function<std::vector<std::string>()> more_headers = {};
  /// How far a sink is; tries are counted anew when it got on.
  std::function<std::uint64_t()> progress = {};
  /// Whether an answer of success is none: S3 answers 200 before it knows.
  bool may_fail_with_200 = false;
  /// Whether it is tried again where that may help.
  bool again = true;
};

/// For one thread, but for cancellation().
class S3Client {
 public:
  S3Client(S3Place place, AwsCredentials credentials, S3Limits limits);

  const S3Place& place() const { return place_; }
  Cancellation& cancellation() { return cancellation_; }

  /// The answer of success. Throws a RemoteError when tries are at an end, or would not help.
  HttpResponse call(const S3Call& call);
  struct Result {
    HttpResponse response;
    std::optional<S3Problem> problem;
  };
  /// The same without a throw: the last answer and, if it is none of success, what is wrong. Faults of the file that is
  /// sent and of the sink are thrown all the same.
  Result try_call(const S3Call& call);
  /// One try that takes no longer than a moment, even when all has been cancelled; true when it succeeded.
  bool farewell(const S3Call& call);
  /// Throws the RemoteError "cannot <what>: <problem>".
  [[noreturn]] void fail(const S3Call& call, const S3Problem& problem) const;

 private:
  HttpResponse once(const S3Call& call, HttpClient& http) const;
  /// Reads the credentials anew; true where they have changed.
  bool renew_credentials();
  double wait_s(int tries, const S3Problem& problem);

  S3Place place_;
  AwsCredentials credentials_;
  S3Limits limits_;
  Cancellation cancellation_;
  HttpClient http_;
};

}  // namespace trainctl
