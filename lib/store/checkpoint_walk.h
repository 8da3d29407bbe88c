// What HDF5 is asked of a checkpoint: where everything lies. Nothing is read through it but small metadata.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "store/checkpoint.h"

namespace trainctl {

/// The contents of a file by their places in it.
struct CheckpointIndex {
  std::vector<CheckpointReader::Entry> arrays;           ///< sorted by path
  std::map<std::string, CheckpointReader::Entry> texts;  ///< by path; u8, one axis
  std::map<std::string, Attribute> attributes;
};

/// Walks all objects of an HDF5 file in memory. Anything that encode_checkpoint does not write is refused by a data
/// Error starting with `source`: links other than one hard link per object, other layouts, filters, types, attributes
/// or objects in excess.
CheckpointIndex walk_checkpoint(ByteSpan file, const std::string& source);

}  // namespace trainctl
