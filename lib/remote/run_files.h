// The files of a run that copies are made of.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "store/run_directory.h"

namespace trainctl {

/// What tells whether a file is the one that was copied.
struct FileStamp {
  std::uint64_t bytes = 0;
  std::int64_t mtime_ns = 0;
  std::uint64_t inode = 0;
  bool operator==(const FileStamp&) const = default;
};

struct RunFile {
  std::string name;  ///< relative to the run's folder, parts with '/' between them
  FileStamp stamp;
};

/// The stamp of a regular file; nothing if there is none.
std::optional<FileStamp> stamp_of(const std::filesystem::path& path);

/// All files of a run but links, hidden ones, locks and the record of copies; sorted by name. What vanishes meanwhile
/// is left out; an environment Error if a folder cannot be read, so that no file seems to be gone that is not.
std::vector<RunFile> run_files(const RunPaths& paths);

/// The step of "checkpoints/step-00000469.h5"; nothing for any other name.
std::optional<std::int64_t> checkpoint_step(std::string_view name);

/// Whether a resume needs the file to be at least as far as the checkpoint: copied before it.
bool precedes_checkpoints(std::string_view name);

/// Whether a name from elsewhere is one that run_files() could give: a plain path below the run's folder.
bool is_run_file_name(std::string_view name);

}  // namespace trainctl
