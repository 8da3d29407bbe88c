// HTTP requests, signed for AWS, by libcurl.
#pragma once

#include <cstdint>
#include <exception>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "remote/cancellation.h"

namespace trainctl {

/// Why there is no answer, or not all of one.
struct HttpFault {
  enum class Kind : std::uint8_t {
    connection,   ///< none made, or lost
    stalled,      ///< nothing moved for too long
    certificate,  ///< the server is not who it should be, or nothing can tell
    setup,        ///< this libcurl cannot do what is asked
    cancelled,
  };
  Kind kind = Kind::connection;
  std::string message;  ///< what libcurl says
};

struct HttpResponse {
  int status = 0;
  std::map<std::string, std::string> headers;  ///< names in lower case
  std::string body;                            ///< what no sink took; at most HttpClient::max_body_bytes
  std::optional<HttpFault> fault;

  bool ok() const { return !fault && status >= 200 && status < 300; }
  /// The header's value, or "".
  std::string_view header(const std::string& name) const;
  /// Seconds since 1970 by the server's clock, from its Date header.
  std::optional<std::int64_t> date() const;
};

/// Takes the body of a successful answer. What it throws ends the request and is thrown by HttpClient::perform.
class HttpSink {
 public:
  virtual ~HttpSink() = default;
  /// The status and headers are there.
  virtual void begin(const HttpResponse& head) = 0;
  virtual void write(ByteSpan bytes) = 0;
};

/// A part of an open file, to be sent.
struct HttpUpload {
  int fd = -1;
  std::string name;  ///< for messages
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
};

struct HttpRequest {
  std::string method;
  std::string url;
  std::vector<std::string> headers;  ///< "Name: value"
  std::string body;
  std::optional<HttpUpload> upload;  ///< instead of `body`
  HttpSink* sink = nullptr;
};

/// Who signs, and for what: AWS Signature Version 4.
struct HttpSigning {
  std::string region;
  std::string service;
  std::string access_key;
  std::string secret_key;
};

struct HttpOptions {
  double stall_s = 60.0;     ///< without a byte for so long a request is given up
  double connect_s = 15.0;   ///< for name, connection and TLS together
  std::string ca_file = {};  ///< certificates to trust; by default the system's
};

/// One connection, kept open between requests. For one thread.
class HttpClient {
 public:
  static constexpr std::size_t max_body_bytes = std::size_t{16} << 20;

  /// Throws an environment Error if libcurl lacks TLS or the signature.
  HttpClient(HttpOptions options, Cancellation& cancellation);
  ~HttpClient();

  /// Sends a request and waits for its answer. Faults of the network are in the answer; those of a file that is sent,
  /// and what the sink throws, are thrown.
  HttpResponse perform(const HttpRequest& request, const HttpSigning& signing);
  /// As long as it is less than the option, a request is given up after so many seconds in all.
  void limit(double seconds) { limit_s_ = seconds; }

 private:
  struct Handle;
  std::unique_ptr<Handle> handle_;
  HttpOptions options_;
  Cancellation& cancellation_;
  double limit_s_ = 0.0;
};

}  // namespace trainctl
