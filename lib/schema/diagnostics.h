// Every error of a spec at once, each with its place, the line itself and advice.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "schema/node.h"

namespace trainctl {

struct Diagnostic {
  Source source;
  std::string path;  ///< "optimizer.lr", "" at the top
  std::string message;
};

/// The first 100 errors in the form that a terminal shows:
///   config.yaml:12:7: optimizer.lr: expected a number, got 'abc'.
///       lr: abc
///           ^
std::string to_text(const std::vector<Diagnostic>& errors, std::size_t total);
/// [{"file", "line", "column", "path", "message"}].
nlohmann::ordered_json to_json(const std::vector<Diagnostic>& errors);

/// Error(config) that lists every fault of a spec; `errors()` is what `--json` prints.
class ConfigError : public Error {
 public:
  ConfigError(std::vector<Diagnostic> errors, std::size_t total);
  const std::vector<Diagnostic>& errors() const { return errors_; }

 private:
  std::vector<Diagnostic> errors_;
};

/// Collects errors. It also knows the path of what is being read, so that a message need not.
class Diagnostics {
 public:
  static constexpr std::size_t limit = 100;

  /// Notes an error at the current path.
  void error(const Source& source, std::string message);
  void error(const Node& node, std::string message) { error(node.source(), std::move(message)); }

  bool ok() const { return total_ == 0; }
  bool full() const { return total_ >= limit; }
  std::size_t total() const { return total_; }
  const std::vector<Diagnostic>& errors() const { return errors_; }

  const std::string& path() const { return path_; }
  void set_path(std::string path) { path_ = std::move(path); }

  /// Takes the errors of another collector, or those that were thrown.
  void take(const Diagnostics& other);
  void take(const ConfigError& thrown);
  /// Throws ConfigError unless there were no errors.
  void throw_if_any() const;

  /// Goes one step down the tree for as long as it lives.
  class Scope {
   public:
    Scope(Diagnostics& diagnostics, std::string_view key);
    Scope(Diagnostics& diagnostics, std::size_t index);
    ~Scope() { diagnostics_.path_.resize(length_); }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    Diagnostics& diagnostics_;
    std::size_t length_;
  };

 private:
  std::string path_;
  std::vector<Diagnostic> errors_;
  std::size_t total_ = 0;
};

}  // namespace trainctl
