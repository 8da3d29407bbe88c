// Errors that end a command: what is wrong, where, and what to do about it.
#pragma once

#include <fmt/core.h>

#include <stdexcept>
#include <string>
#include <utility>

namespace trainctl {

/// Why a command ends. The values are the process exit codes that scripts rely on.
enum class ErrorKind : int {
  internal = 1,      ///< a fault of trainctl itself
  usage = 2,         ///< wrong command-line usage
  config = 3,        ///< invalid experiment file
  data = 4,          ///< data or checkpoint missing, corrupt or incompatible
  diverged = 5,      ///< NaN or infinity in training
  environment = 6,   ///< device, memory, disk, lock: trying again may help
  interrupted = 85,  ///< stopped by a signal or time limit with its state saved
};

/// The name of a kind as `--json` reports it: "config", "data", ...
const char* name(ErrorKind kind);

/// An error that ends the command with `kind` as exit code. `what()` reads as advice: what is wrong, where, what to do.
class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& message) : std::runtime_error(message), kind_(kind) {}
  ErrorKind kind() const { return kind_; }
  int exit_code() const { return static_cast<int>(kind_); }

 private:
  ErrorKind kind_;
};

/// Throws an Error with a formatted message: fail(ErrorKind::data, "{}: truncated at byte {}", path, n).
template <typename... Args>
[[noreturn]] void fail(ErrorKind kind, fmt::format_string<Args...> format, Args&&... args) {
  throw Error(kind, fmt::format(format, std::forward<Args>(args)...));
}

/// Throws an internal Error unless `condition` holds; for what no input of a user may cause.
inline void require(bool condition, const char* message) {
  if (!condition) throw Error(ErrorKind::internal, message);
}

}  // namespace trainctl
