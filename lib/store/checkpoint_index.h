// The index of a checkpoint, made where a crash of HDF5 does no harm.
#pragma once

#include <string>

#include "store/checkpoint_walk.h"

namespace trainctl {

/// walk_checkpoint() in a child process: HDF5 can crash on bytes made to crash it, and a hash that the maker also wrote
/// does not tell. What comes back is checked to lie inside the file. Throws a data Error starting with `source`.
CheckpointIndex index_checkpoint(ByteSpan file, const std::string& source);

}  // namespace trainctl
