#include "remote/http.h"

#include <curl/curl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <system_error>
#include <utility>

#include "base/clock.h"
#include "base/error.h"
#include "base/libraries.h"
#include "base/text.h"
#include "base/version.h"
#include "remote/pace.h"

namespace trainctl {
namespace {

namespace fs = std::filesystem;

// Large, so that the thread that sends wakes up seldom.
constexpr long upload_buffer_bytes = 1 << 20;
constexpr long download_buffer_bytes = 512 << 10;

const RegisterLibrary registered{"libcurl", curl_version_info(CURLVERSION_NOW)->version};

struct FreeList {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using HeaderList = std::unique_ptr<curl_slist, FreeList>;

// What libcurl's callbacks see of one request.
struct Exchange {
  const HttpRequest& request;
  HttpResponse& response;
  Cancellation& cancellation;
  CURL* curl;
  double stall_s;
  curl_off_t moved = 0;  // bytes, both ways
  double moved_at_s = monotonic_seconds();
  bool stalled = false;
  std::uint64_t sent = 0;
  bool begun = false;              // the sink knows of the answer
  std::exception_ptr thrown = {};  // by a file or the sink

  // The sink gets bodies of success alone, errors are read as text.
  bool to_sink() {
    long status = 0;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    response.status = static_cast<int>(status);
    return request.sink && status >= 200 && status < 300;
  }
  void begin() {
    if (std::exchange(begun, true)) return;
    request.sink->begin(response);
  }
};

std::size_t read_upload(char* buffer, std::size_t size, std::size_t count, void* data) {
  auto& exchange = *static_cast<Exchange*>(data);
  const HttpUpload& upload = *exchange.request.upload;
  const std::uint64_t wanted = std::min<std::uint64_t>(size * count, upload.bytes - exchange.sent);
  if (wanted == 0) return 0;
  Pace::keep();
  ssize_t got = 0;
  do {
    got = ::pread(upload.fd, buffer, wanted, static_cast<off_t>(upload.offset + exchange.sent));
  } while (got < 0 && errno == EINTR);
  try {
    if (got < 0) fail_io(upload.name, "read", errno);
    if (got == 0) fail(ErrorKind::data, "{}: was cut short while it was copied", upload.name);
  } catch (...) {
    exchange.thrown = std::current_exception();
    return CURL_READFUNC_ABORT;
  }
  exchange.sent += static_cast<std::uint64_t>(got);
  return static_cast<std::size_t>(got);
}

// libcurl starts a body again where a kept connection turned out to be dead.
int seek_upload(void* data, curl_off_t offset, int origin) {
  if (origin != SEEK_SET || offset < 0) return CURL_SEEKFUNC_FAIL;
  static_cast<Exchange*>(data)->sent = static_cast<std::uint64_t>(offset);
  return CURL_SEEKFUNC_OK;
}

std::size_t take_body(char* bytes, std::size_t size, std::size_t count, void* data) {
  auto& exchange = *static_cast<Exchange*>(data);
  const std::size_t total = size * count;
  try {
    if (exchange.to_sink()) {
      exchange.begin();
      exchange.request.sink->write(bytes_of({bytes, total}));
      return total;
    }
    if (exchange.response.body.size() + total > HttpClient::max_body_bytes)
      fail(ErrorKind::environment, "the answer has more than {} bytes", HttpClient::max_body_bytes);
    exchange.response.body.append(bytes, total);
    return total;
  } catch (...) {
    exchange.thrown = std::current_exception();
    return 0;
  }
}

std::size_t take_header(char* bytes, std::size_t size, std::size_t count, void* data) {
  HttpResponse& response = static_cast<Exchange*>(data)->response;
  const std::string_view line(bytes, size * count);
  if (line.starts_with("HTTP/")) response.headers.clear();  // after "100 Continue" comes the answer itself
  const std::size_t colon = line.find(':');
  if (colon != std::string_view::npos) {
    std::string name(trimmed(line.substr(0, colon)));
    std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
    response.headers[name] = trimmed(line.substr(colon + 1));
  }
  return line.size();
}

// libcurl's own limit of speed looks at averages over several seconds; this one sees each byte.
int watch(void* data, curl_off_t, curl_off_t received, curl_off_t, curl_off_t sent) {
  auto& exchange = *static_cast<Exchange*>(data);
  const double now_s = monotonic_seconds();
  if (exchange.moved != received + sent) {
    exchange.moved = received + sent;
    exchange.moved_at_s = now_s;
  }
  exchange.stalled = now_s - exchange.moved_at_s > exchange.stall_s;
  return exchange.stalled || exchange.cancellation.cancelled() ? 1 : 0;
}

HttpFault fault_of(CURLcode code, const char* text) {
  HttpFault fault{.message = *text ? text : curl_easy_strerror(code)};
  switch (code) {
    case CURLE_ABORTED_BY_CALLBACK:
      fault.kind = HttpFault::Kind::cancelled;
      break;
    case CURLE_OPERATION_TIMEDOUT:
      fault.kind = HttpFault::Kind::stalled;
      break;
    case CURLE_SSL_CONNECT_ERROR:
      fault.message += " (does the endpoint speak https?)";
      break;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
      fault.kind = HttpFault::Kind::certificate;
      break;
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_URL_MALFORMAT:
    case CURLE_NOT_BUILT_IN:
    case CURLE_UNKNOWN_OPTION:
    case CURLE_BAD_FUNCTION_ARGUMENT:
      fault.kind = HttpFault::Kind::setup;
      break;
    default:
      break;
  }
  return fault;
}

// Where libcurl was built for another system, its file of certificates may not be there: the usual places then.
std::string usual_ca_file() {
  for (const char* name : {"AWS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"}) {
    const char* value = std::getenv(name);
    if (value && *value) return value;
  }
  std::error_code unknown;
  const char* built_in = curl_version_info(CURLVERSION_NOW)->cainfo;
  if (!built_in || fs::exists(built_in, unknown)) return "";
  for (const char* path : {"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt",
                           "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem"}) {
    if (fs::exists(path, unknown)) return path;
  }
  return "";
}

// Sets options on a handle that has none but its connection; remembers if one is not known.
class Options {
 public:
  explicit Options(CURL* curl) : curl_(curl) { curl_easy_reset(curl); }
  template <typename Value>
  void set(CURLoption name, Value value) {
    if (const CURLcode code = curl_easy_setopt(curl_, name, value); code != CURLE_OK) fault_ = code;
  }
  CURLcode fault() const { return fault_; }

 private:
  CURL* curl_;
  CURLcode fault_ = CURLE_OK;
};

HeaderList header_list(const std::vector<std::string>& lines) {
  HeaderList list;
  for (const std::string& line : lines) {
    curl_slist* const longer = curl_slist_append(list.get(), line.c_str());
    if (!longer) throw std::bad_alloc();
    (void)list.release();
    list.reset(longer);
  }
  return list;
}

void set_signing(Options& options, const HttpSigning& signing) {
  options.set(CURLOPT_AWS_SIGV4, fmt::format("aws:amz:{}:{}", signing.region, signing.service).c_str());
  options.set(CURLOPT_USERNAME, signing.access_key.c_str());
  options.set(CURLOPT_PASSWORD, signing.secret_key.c_str());
}

long milliseconds(double seconds) {
  return std::max(1L, std::lround(seconds * 1000));
}

void set_connection(Options& options, const HttpOptions& wanted, double limit_s) {
  options.set(CURLOPT_PROTOCOLS_STR, "http,https");
  options.set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  options.set(CURLOPT_NOSIGNAL, 1L);
  options.set(CURLOPT_TCP_KEEPALIVE, 1L);
  options.set(CURLOPT_USERAGENT, ("trainctl/" + version_text()).c_str());
  if (!wanted.ca_file.empty()) options.set(CURLOPT_CAINFO, wanted.ca_file.c_str());
  options.set(CURLOPT_CONNECTTIMEOUT_MS, milliseconds(std::min(wanted.connect_s, wanted.stall_s)));
  if (limit_s > 0) options.set(CURLOPT_TIMEOUT_MS, milliseconds(limit_s));
}

void set_request(Options& options, Exchange& exchange) {
  const HttpRequest& request = exchange.request;
  options.set(CURLOPT_URL, request.url.c_str());
  if (request.upload) {
    options.set(CURLOPT_UPLOAD, 1L);
    options.set(CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(request.upload->bytes));
    options.set(CURLOPT_UPLOAD_BUFFERSIZE, upload_buffer_bytes);
    options.set(CURLOPT_READFUNCTION, read_upload);
    options.set(CURLOPT_READDATA, &exchange);
    options.set(CURLOPT_SEEKFUNCTION, seek_upload);
    options.set(CURLOPT_SEEKDATA, &exchange);
  } else if (request.method == "POST") {
    options.set(CURLOPT_POST, 1L);
    options.set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
    options.set(CURLOPT_POSTFIELDS, request.body.c_str());
  } else if (request.method == "HEAD") {
    options.set(CURLOPT_NOBODY, 1L);
  } else {
    options.set(CURLOPT_CUSTOMREQUEST, request.method.c_str());
    options.set(CURLOPT_BUFFERSIZE, download_buffer_bytes);
  }
  options.set(CURLOPT_WRITEFUNCTION, take_body);
  options.set(CURLOPT_WRITEDATA, &exchange);
  options.set(CURLOPT_HEADERFUNCTION, take_header);
  options.set(CURLOPT_HEADERDATA, &exchange);
  options.set(CURLOPT_XFERINFOFUNCTION, watch);
  options.set(CURLOPT_XFERINFODATA, &exchange);
  options.set(CURLOPT_NOPROGRESS, 0L);
}

}  // namespace

std::string_view HttpResponse::header(const std::string& name) const {
  const auto found = headers.find(name);
  return found == headers.end() ? std::string_view() : std::string_view(found->second);
}

std::optional<std::int64_t> HttpResponse::date() const {
  const std::string text(header("date"));
  if (text.empty()) return std::nullopt;
  const std::time_t seconds = curl_getdate(text.c_str(), nullptr);
  return seconds < 0 ? std::nullopt : std::optional<std::int64_t>(seconds);
}

struct HttpClient::Handle {
  CURL* curl = curl_easy_init();
  Handle() = default;
  Handle(const Handle&) = delete;
  ~Handle() { curl_easy_cleanup(curl); }
};

HttpClient::HttpClient(HttpOptions options, Cancellation& cancellation)
    : options_(std::move(options)), cancellation_(cancellation) {
  static const CURLcode ready = curl_global_init(CURL_GLOBAL_DEFAULT);  // once, whatever the number of threads
  if (ready == CURLE_OK) handle_ = std::make_unique<Handle>();
  if (!handle_ || !handle_->curl) fail(ErrorKind::environment, "libcurl cannot be set up");
  if (curl_easy_setopt(handle_->curl, CURLOPT_AWS_SIGV4, "aws:amz") != CURLE_OK)
    fail(ErrorKind::environment, "this libcurl ({}) cannot sign for AWS", curl_version());
  if (options_.ca_file.empty()) options_.ca_file = usual_ca_file();
}

HttpClient::~HttpClient() = default;

HttpResponse HttpClient::perform(const HttpRequest& request, const HttpSigning& signing) {
  HttpResponse response;
  if (cancellation_.cancelled()) {
    response.fault = HttpFault{HttpFault::Kind::cancelled, "cancelled"};
    return response;
  }
  CURL* const curl = handle_->curl;
  Exchange exchange{.request = request,
                    .response = response,
                    .cancellation = cancellation_,
                    .curl = curl,
                    .stall_s = options_.stall_s};
  std::array<char, CURL_ERROR_SIZE> error{};
  const HeaderList headers = header_list(request.headers);

  // The handle must not point into what ends here.
  const std::unique_ptr<CURL, void (*)(CURL*)> forget(curl, curl_easy_reset);
  Options options(curl);
  options.set(CURLOPT_ERRORBUFFER, error.data());
  options.set(CURLOPT_HTTPHEADER, headers.get());
  set_signing(options, signing);
  set_connection(options, options_, limit_s_);
  set_request(options, exchange);
  const CURLcode code = options.fault() == CURLE_OK ? curl_easy_perform(curl) : options.fault();
  if (code == CURLE_OK && exchange.to_sink()) exchange.begin();  // of an empty body, too
  if (exchange.thrown) std::rethrow_exception(exchange.thrown);
  if (exchange.stalled) {
    const std::string text = fmt::format("nothing came or went for {}", human_duration(options_.stall_s));
    response.fault = HttpFault{HttpFault::Kind::stalled, text};
  } else if (code != CURLE_OK) {
    response.fault = fault_of(code, error.data());
  }
  return response;
}

}  // namespace trainctl
