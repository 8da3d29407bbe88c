// `remote`: a store that a run's files are copied to while it trains.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "remote/object_store.h"
#include "schema/schema.h"

namespace trainctl {

/// A kind of store. One file each in lib/remote.
struct Remote {
  static constexpr const char* kind = "remote";
  WallTime every{30.0};
  WallTime wait{600.0};
  WallTime stop_wait{20.0};

  virtual ~Remote() = default;
  /// Connects to nothing yet. Throws an environment Error that says what to do where credentials are missing.
  virtual std::unique_ptr<ObjectStore> open() const = 0;
  /// "s3": what stands before "://" in URLs of this kind.
  virtual std::string_view scheme() const = 0;
  /// The fields of a spec that a URL's part after "://" gives, such as {"bucket", "b"} and {"prefix", "p/q"}. Whether
  /// they are right is for reading them to say.
  virtual std::vector<std::pair<std::string, std::string>> fields_of(std::string_view place) const = 0;

  /// Fields that every kind has.
  template <typename T>
  static void common(Schema<T>& schema) {
    schema
        .field("every", &Remote::every,
               "Least time between the beginnings of two rounds of copying; a round begins when a report is made or a "
               "checkpoint saved.")
        .field("wait", &Remote::wait, "How long the end of a run waits for what is not copied yet.")
        .field("stop_wait", &Remote::stop_wait,
               "How long a run that was stopped waits for it, when its state is saved. A second signal ends the wait.");
  }
};

}  // namespace trainctl
