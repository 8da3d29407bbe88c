// A run taken from a store.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "remote/copy_record.h"
#include "remote/object_store.h"

namespace trainctl {

struct Fetched {
  std::size_t files = 0;
  std::uint64_t bytes = 0;
  std::int64_t step = -1;  ///< of the newest checkpoint; -1: there is none
};

/// Gets the run at `key` into the folder `target`, which must not be there: first into a folder beside it, which takes
/// its name when all is there and each checkpoint has proved to be whole (one that is not is left out, with a warning).
/// last.h5 and best.h5 are made as the newest checkpoint has them. The folder's record says that its files are copied,
/// so that the run goes on with its copy there. A data Error if there is no such run or no checkpoint of it is whole, a
/// usage Error if `target` exists, an environment Error if it cannot be written.
Fetched fetch_run(ObjectStore& store, const std::string& key, const std::filesystem::path& target);

/// What is known of a run in a store without getting it.
struct RemoteRunState {
  std::optional<CopyMarker> marker;
  std::int64_t newest_step = -1;  ///< of its checkpoints; -1: there is none
};
/// A data Error if there is nothing. `scratch`: a folder for a moment's file.
RemoteRunState look_at_run(ObjectStore& store, const std::string& key, const std::filesystem::path& scratch);

}  // namespace trainctl
