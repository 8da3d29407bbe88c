#include "store/provenance.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <string_view>

#include "base/command.h"
#include "base/error.h"
#include "base/file.h"

namespace trainctl {
namespace fs = std::filesystem;
namespace {

constexpr std::array batch_names{"SLURM_JOB_ID",
                                 "SLURM_JOB_NAME",
                                 "SLURM_JOB_PARTITION",
                                 "SLURM_JOB_NODELIST",
                                 "SLURM_JOB_NUM_NODES",
                                 "SLURM_NTASKS",
                                 "SLURM_PROCID",
                                 "SLURM_CPUS_PER_TASK",
                                 "SLURM_ARRAY_JOB_ID",
                                 "SLURM_ARRAY_TASK_ID",
                                 "SLURM_RESTART_COUNT",
                                 "SLURM_CLUSTER_NAME",
                                 "SLURM_SUBMIT_DIR",
                                 "SLURM_SUBMIT_HOST",
                                 "SLURM_JOB_GPUS",
                                 "PBS_JOBID",
                                 "PBS_JOBNAME",
                                 "PBS_QUEUE",
                                 "PBS_ARRAY_INDEX",
                                 "PBS_ARRAYID",
                                 "PBS_O_WORKDIR",
                                 "PBS_O_HOST",
                                 "LSB_JOBID",
                                 "LSB_JOBNAME",
                                 "LSB_JOBINDEX",
                                 "LSB_QUEUE",
                                 "LSB_HOSTS",
                                 "_CONDOR_SLOT",
                                 "_CONDOR_SCRATCH_DIR",
                                 "CONDOR_ID",
                                 "JOB_ID",
                                 "JOB_NAME",
                                 "SGE_TASK_ID",
                                 "CUDA_VISIBLE_DEVICES",
                                 "OMP_NUM_THREADS"};

// The first line of a small file, without the newline; empty if there is none.
std::string first_line(const fs::path& path) {
  try {
    std::string text = read_file(path, 1 << 20);
    text.resize(std::min(text.find('\n'), text.size()));
    return text;
  } catch (const Error&) {
    return {};
  }
}

bool is_commit(std::string_view text) {
  return (text.size() == 40 || text.size() == 64) &&
         text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

std::optional<std::string> commit_if(std::string text) {
  return is_commit(text) ? std::optional(std::move(text)) : std::nullopt;
}

// ".git" of a linked work tree or a submodule is a file that says where the folder is.
fs::path git_folder(const fs::path& dot_git) {
  std::error_code error;
  if (fs::is_directory(dot_git, error)) return dot_git;
  constexpr std::string_view key = "gitdir: ";
  const std::string line = first_line(dot_git);
  return line.starts_with(key) ? dot_git.parent_path() / line.substr(key.size()) : fs::path();
}

std::optional<std::string> packed_commit(const fs::path& folder, const std::string& ref) try {
  const std::string text = "\n" + read_file(folder / "packed-refs", 64 << 20);
  const std::size_t at = text.find(" " + ref + "\n");
  if (at == std::string::npos) return {};
  const std::size_t begin = text.rfind('\n', at) + 1;
  return commit_if(text.substr(begin, at - begin));
} catch (const Error&) {
  return {};
}

}  // namespace

std::string host_name() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "";
}

std::optional<std::string> git_commit(const fs::path& folder) {
  std::error_code error;
  fs::path at = fs::absolute(folder, error);
  while (!fs::exists(at / ".git", error)) {
    if (at == at.parent_path()) return {};
    at = at.parent_path();
  }
  const fs::path git = git_folder(at / ".git");
  const std::string head = first_line(git / "HEAD");
  constexpr std::string_view key = "ref: ";
  if (!head.starts_with(key)) return commit_if(head);
  const std::string ref = head.substr(key.size());
  const std::string common = first_line(git / "commondir");  // branches of a linked work tree are the main one's
  const fs::path refs = common.empty() ? git : git / common;
  if (auto commit = commit_if(first_line(refs / ref))) return commit;
  return packed_commit(refs, ref);
}

std::optional<bool> find_uncommitted(const fs::path& folder, const std::optional<fs::path>& patch) {
  constexpr std::uintmax_t max_bytes = 4 << 20;
  std::error_code error;
  const fs::path file = patch ? fs::absolute(*patch, error) : fs::path("/dev/null");
  if (error || find_program("git").empty()) return {};
  // Neither a diff nor a conversion program of the repository is run.
  const Command diff{.argv = {"git", "-C", folder.string(), "diff", "--no-ext-diff", "--no-textconv", "--no-color",
                              "--exit-code", "--binary", "--output=" + file.string(), "HEAD"},
                     .environment = {{"GIT_OPTIONAL_LOCKS", "0"}},
                     .timeout_s = 10.0};
  const CommandEnd end = run_command(
      diff, [](std::string_view) {}, [] { return false; });
  const bool known = end.how == CommandEnd::How::exited && end.code <= 1, changed = known && end.code == 1;
  if (patch && !changed) fs::remove(file, error);
  if (patch && changed && fs::file_size(file, error) > max_bytes && !error)
    write_file_atomic(file, fmt::format("The changes are more than the {} bytes that are kept.\n", max_bytes));
  return known ? std::optional(changed) : std::nullopt;
}

std::map<std::string, std::string> batch_variables() {
  std::map<std::string, std::string> found;
  for (const char* name : batch_names) {
    if (const char* value = std::getenv(name)) found[name] = value;
  }
  return found;
}

}  // namespace trainctl
