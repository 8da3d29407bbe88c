// What of a run has been copied where: remote.json in its folder, and the marker beside each copy.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "remote/run_files.h"

namespace trainctl {

/// remote.json. It lets a later process go on where this one stopped, and holds nothing secret.
struct CopyRecord {
  static constexpr const char* file_name = "remote.json";
  static constexpr const char* lock_name = "remote.lock";
  /// The object that says whose copy it is.
  static constexpr const char* marker_name = "copy.json";

  /// One place where a copy is, or becomes.
  struct Place {
    std::map<std::string, FileStamp> files;  ///< what is there, by name
    std::vector<std::string> missing;        ///< what was not there yet when that was last looked at
  };

  std::string run;   ///< drawn once for each run: the same in all copies
  std::string copy;  ///< drawn once for each folder: of two folders of one run only the later may write to a place
  std::string key;   ///< "project/name-3": where the run lies in a store
  std::map<std::string, Place> places;  ///< by URL

  /// A record of a run that has none yet.
  static CopyRecord fresh(std::string key);
  /// The record of a run; nothing if there is none, or a damaged one, which is warned of.
  static std::optional<CopyRecord> read(const RunPaths& paths);
  void write(const RunPaths& paths) const;
};

/// copy.json.
struct CopyMarker {
  std::string run;
  std::string copy;
  std::string host;  ///< for people: who wrote it, and since when
  std::string since;

  std::string to_json() const;
  /// Throws a data Error that begins with `source` if it cannot be read.
  static CopyMarker from_json(std::string_view text, std::string_view source);
};

}  // namespace trainctl
