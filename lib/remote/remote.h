// `remote`: a store that a run's files are copied to while it trains.
#pragma once

#include <memory>

#include "remote/object_store.h"
#include "schema/schema.h"

namespace trainctl {

/// A kind of store. One file each in lib/remote.
struct Remote {
  static constexpr const char* kind = "remote";
  virtual ~Remote() = default;
  /// Connects to nothing yet. Throws an environment Error that says what to do where credentials are missing.
  virtual std::unique_ptr<ObjectStore> open() const = 0;
};

}  // namespace trainctl
