// Where copies of a run's files go: a store of objects on another machine.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace trainctl {

/// What a store answered, or that it did not. The message says what to do about it and holds no secret.
class RemoteError : public Error {
 public:
  enum class Cause : std::uint8_t {
    unreachable,  ///< no answer, or one that asks to try later: the same may succeed soon
    refused,      ///< credentials, permission, bucket, clock, quota: somebody has to act first
    missing,      ///< there is no such object
    damaged,      ///< what arrived is not what was sent
    cancelled,    ///< by ObjectStore::cancel()
  };
  RemoteError(Cause cause, const std::string& message) : Error(ErrorKind::environment, message), cause_(cause) {}
  Cause cause() const { return cause_; }

 private:
  Cause cause_;
};

struct RemoteObject {
  std::string key;
  std::uint64_t bytes = 0;
};

/// Objects by key: parts with '/' between them, below what the store was opened for. One thread at a time, but for
/// cancel(). Calls try again by themselves, with growing pauses, where the cause is `unreachable`; what they throw at
/// last is a RemoteError.
class ObjectStore {
 public:
  virtual ~ObjectStore() = default;
  /// How people name an object: "s3://bucket/prefix/key".
  virtual std::string url(std::string_view key) const = 0;
  /// Puts a file's bytes, as it is when the call begins, in place of what the key held. Returns once the store has
  /// confirmed by checksum that it holds them; until then the key holds what it did.
  virtual void put(std::string_view key, const std::filesystem::path& file) = 0;
  /// Writes an object to a file, checked against the checksum that put() left; the file is there whole or not at all.
  virtual void get(std::string_view key, const std::filesystem::path& file) = 0;
  /// The object, if there is one.
  virtual std::optional<RemoteObject> find(std::string_view key) = 0;
  /// All objects whose keys begin with `prefix`, sorted by key.
  virtual std::vector<RemoteObject> list(std::string_view prefix) = 0;
  /// Removes an object; one that is not there is no error.
  virtual void remove(std::string_view key) = 0;
  /// From any thread: calls that run or are made from now on end soon, with the cause `cancelled`.
  virtual void cancel() = 0;
};

}  // namespace trainctl
