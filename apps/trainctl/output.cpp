#include "output.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <new>
#include <nlohmann/json.hpp>
#include <string>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "schema/diagnostics.h"
#include "schema/json_text.h"

namespace trainctl::app {
namespace {

using Json = nlohmann::ordered_json;

struct Failure {
  ErrorKind kind = ErrorKind::internal;
  std::string message;
  Json errors = Json::array();
};

Failure failure_of(const std::exception_ptr& failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const ConfigError& error) {
    return {error.kind(), error.what(), to_json(error.errors())};
  } catch (const Error& error) {
    return {error.kind(), error.what()};
  } catch (const std::bad_alloc&) {
    return {ErrorKind::environment, "not enough memory; use a smaller batch or model, or a machine with more memory"};
  } catch (const std::exception& error) {
    return {ErrorKind::internal, error.what()};
  } catch (...) {
    return {ErrorKind::internal, "an unknown exception"};
  }
}

}  // namespace

void print(std::string_view text) {
  if (const int code = write_all(STDOUT_FILENO, bytes_of(text)); code != 0) {
    fail(ErrorKind::environment, "cannot write the result to stdout: {}", std::strerror(code));
  }
}

void print_json(const Json& json) {
  print(json_text(json, 2) + "\n");
}

void print_values(const NamedValues& values) {
  std::string text;
  for (const auto& [name, value] : values) text += fmt::format("{} {:.6g}\n", name, value);
  print(text);
}

int report_failure(std::exception_ptr failure, bool json) {
  Failure what = failure_of(failure);
  if (what.kind == ErrorKind::interrupted) {
    log::warn("{}", what.message);
  } else if (what.kind == ErrorKind::internal) {
    log::error("{}; this is a fault of trainctl: please report it with the command line and the config", what.message);
  } else if (what.errors.size() > 1) {
    log::error("{} in the experiment:\n{}", counted(what.errors.size(), "error"), what.message);
  } else {
    log::error("{}", what.message);
  }
  const int code = static_cast<int>(what.kind);
  if (!json) return code;
  try {
    print_json({{"error",
                 {{"kind", name(what.kind)},
                  {"message", what.message},
                  {"exit_code", code},
                  {"errors", std::move(what.errors)}}}});
  } catch (const Error& error) {
    log::error("{}", error.what());
  }
  return code;
}

}  // namespace trainctl::app
