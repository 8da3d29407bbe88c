// Where a run happens: host, source revision, batch job.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>

namespace trainctl {

std::string host_name();

/// The commit that HEAD names in the git work tree around `folder`, read from its files; nullopt outside of one.
std::optional<std::string> git_commit(const std::filesystem::path& folder);

/// Whether tracked files of the git work tree around `folder` have changed since HEAD; nullopt if git is missing, does
/// not know or takes longer than 10 seconds. What has changed is written to the file `patch`, if one is named, as `git
/// apply` reads it; a line that says so stands for more than 4 MiB.
std::optional<bool> find_uncommitted(const std::filesystem::path& folder,
                                     const std::optional<std::filesystem::path>& patch);

/// The variables that identify a job of SLURM, PBS, LSF, HTCondor or Grid Engine. Listed by name, so that a token that
/// such a system also passes in the environment is never among them.
std::map<std::string, std::string> batch_variables();

}  // namespace trainctl
