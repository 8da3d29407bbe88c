#include "store/run_directory.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <system_error>
#include <utility>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "schema/json_text.h"
#include "store/json_values.h"
#include "store/provenance.h"

namespace trainctl {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view meta_format = "trainctl-run";
constexpr int meta_version = 1;

void check_plain_name(std::string_view what, std::string_view name) {
  if (name.empty() || name.front() == '.' || name.find_first_of(std::string_view("/\0", 2)) != std::string_view::npos) {
    fail(ErrorKind::config, "{} '{}' names a folder, so it must not be empty, start with a dot or hold a slash", what,
         name);
  }
}

void create_folders(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) {
    fail(ErrorKind::environment, "{}: cannot create the folder: {}; choose another by output.root or --output",
         folder.string(), error.message());
  }
}

// The n of "<name>-<n>"; 0 for any other file name.
int run_number(const std::string& file_name, std::string_view name) {
  if (!file_name.starts_with(name) || file_name.size() < name.size() + 2 || file_name[name.size()] != '-') return 0;
  const char* begin = file_name.data() + name.size() + 1;
  const char* end = file_name.data() + file_name.size();
  int n = 0;
  const auto [stop, error] = std::from_chars(begin, end, n);
  return error == std::errc() && stop == end && n > 0 && *begin != '0' ? n : 0;
}

std::vector<std::pair<int, fs::path>> numbered_runs(const fs::path& folder, std::string_view name) {
  std::vector<std::pair<int, fs::path>> runs;
  std::error_code error;
  fs::directory_iterator it(folder, error);
  if (error == std::errc::no_such_file_or_directory) return runs;
  for (; !error && it != fs::directory_iterator(); it.increment(error)) {
    const int n = run_number(it->path().filename().string(), name);
    std::error_code gone;
    if (n > 0 && it->is_directory(gone)) runs.emplace_back(n, it->path());
  }
  if (error) fail(ErrorKind::environment, "{}: cannot list the runs: {}", folder.string(), error.message());
  std::ranges::sort(runs, std::ranges::greater());
  return runs;
}

// A run has its config, or a process that is about to write it.
bool is_run(const RunPaths& paths) {
  std::error_code error;
  return fs::exists(paths.config(), error) || FileLock::is_held(paths.lock());
}

// Empty, but for what a start that was killed before its config may have left.
bool is_fresh(const RunPaths& paths) {
  std::error_code error;
  for (fs::directory_iterator it(paths.root, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    const bool leftover = it->path() == paths.lock() || it->path() == paths.original_config() ||
                          (name.starts_with('.') && name.ends_with(".tmp"));
    if (!leftover) return false;
  }
  return !error;
}

// nullopt if there is none, or none that can be used.
std::optional<Json> read_meta(const RunPaths& paths) {
  std::error_code error;
  if (!fs::exists(paths.meta(), error)) return {};
  try {
    Json json = parse_json(read_file(paths.meta()));
    if (json.at("format") != meta_format) throw std::invalid_argument("it is not a run's");
    json.at("status").get_ref<const std::string&>();
    json.at("starts").get_ref<const Json::array_t&>();
    if (!json.at("exit_code").is_null()) json.at("exit_code").get<int>();
    return json;
  } catch (const Json::exception& damage) {
    log::warn("{}: is damaged and passed over: {}", paths.meta().string(), damage.what());
  } catch (const std::invalid_argument& damage) {
    log::warn("{}: is passed over: {}", paths.meta().string(), damage.what());
  }
  return {};
}

Json new_meta() {
  Json json;
  json["format"] = meta_format;
  json["version"] = meta_version;
  json["status"] = "";
  json["exit_code"] = nullptr;
  json["starts"] = Json::array();
  return json;
}

Json start_to_json(const StartInfo& info, const fs::path& patch) {
  std::error_code error;
  const fs::path folder = fs::current_path(error);
  const auto commit = git_commit(folder);
  Json json;
  json["started"] = utc_timestamp();
  json["ended"] = nullptr;
  json["status"] = "running";
  json["exit_code"] = nullptr;
  json["command"] = info.command;
  json["from_step"] = info.from_step;
  json["argv"] = info.argv;
  json["folder"] = folder.string();
  json["version"] = info.version;
  json["build"] = info.build;
  json["git"] = commit ? Json(*commit) : Json();
  const auto changed =
      commit ? find_uncommitted(folder, info.save_diff ? std::optional(patch) : std::nullopt) : std::nullopt;
  json["git_changed"] = changed ? Json(*changed) : Json();
  json["git_patch"] = changed == true && info.save_diff ? Json(patch.filename().string()) : Json();
  json["host"] = host_name();
  json["pid"] = ::getpid();
  json["device"] = info.device;
  json["threads"] = info.threads;
  json["libraries"] = info.libraries;
  json["modules"] = info.modules;
  json["source"] = info.sources;
  json["batch"] = batch_variables();
  return json;
}

void write_meta(const RunPaths& paths, const Json& json) {
  write_file_atomic(paths.meta(), json_text(json, 1) + "\n");
}

}  // namespace

RunDirectory::RunDirectory(RunPaths paths, Provisional provisional)
    : paths_(std::move(paths)), provisional_(provisional), lock_(paths_.lock()) {}

RunDirectory::RunDirectory(RunDirectory&& other) noexcept
    : paths_(std::move(other.paths_)),
      provisional_(std::exchange(other.provisional_, Provisional::nothing)),
      lock_(std::move(other.lock_)) {}

RunDirectory::~RunDirectory() {
  if (provisional_ == Provisional::nothing) return;
  for (const fs::path& file : {paths_.config(), paths_.original_config(), paths_.lock()}) ::unlink(file.c_str());
  if (provisional_ == Provisional::folder)
    ::rmdir(paths_.root.c_str());  // fails if anything else is there, as it should
}

RunDirectory RunDirectory::allocate(const fs::path& root, std::string_view project, std::string_view name) {
  check_plain_name("output.project", project);
  check_plain_name("name", name);
  const fs::path folder = root / project;
  create_folders(folder);
  const auto runs = numbered_runs(folder, name);
  for (int n = runs.empty() ? 1 : runs.front().first + 1;; ++n) {
    const fs::path path = folder / fmt::format("{}-{}", name, n);
    if (::mkdir(path.c_str(), 0777) == 0) return RunDirectory({path}, Provisional::folder);
    if (errno != EEXIST) {
      fail(ErrorKind::environment, "{}: cannot create the run's folder: {}; choose another by output.root or --output",
           path.string(), std::generic_category().message(errno));
    }
  }
}

RunDirectory RunDirectory::create_at(const fs::path& folder) {
  std::error_code error;
  const bool existed = fs::exists(folder, error);
  if (existed && !fs::is_directory(folder, error)) {
    fail(ErrorKind::usage, "{}: is a file; give --output a folder that is new or empty", folder.string());
  }
  if (existed && !is_fresh({folder})) {
    fail(ErrorKind::usage,
         "{}: is not empty; give --output a new folder, go on with the run in it by `trainctl resume {}`, or add "
         "--resume auto",
         folder.string(), folder.string());
  }
  create_folders(folder);
  return RunDirectory({folder}, existed ? Provisional::files : Provisional::folder);
}

RunDirectory RunDirectory::open(const fs::path& folder) {
  const RunPaths paths{folder};
  if (!is_run(paths)) {
    fail(ErrorKind::data, "{}: is not a run directory: it holds no config.yaml", folder.string());
  }
  RunDirectory run(paths, Provisional::nothing);
  if (const int count = remove_temporaries(folder))
    log::info("{}: removed {}", folder.string(), counted(static_cast<std::size_t>(count), "unfinished file"));
  return run;
}

void RunDirectory::write_config(std::string_view resolved, std::string_view original) {
  write_file_atomic(paths_.original_config(), original);
  write_file_atomic(paths_.config(), resolved);
  if (provisional_ == Provisional::folder) sync_directory(paths_.root / "..");
  provisional_ = Provisional::nothing;
}

void RunDirectory::record_start(const StartInfo& info) {
  Json meta = read_meta(paths_).value_or(new_meta());
  meta["status"] = "running";
  meta["exit_code"] = nullptr;
  meta["starts"].push_back(start_to_json(info, paths_.patch(meta["starts"].size() + 1)));
  write_meta(paths_, meta);
}

void RunDirectory::record_end(std::string_view status, int exit_code) {
  Json meta = read_meta(paths_).value_or(new_meta());
  if (meta["starts"].empty()) meta["starts"].push_back(Json::object());  // lost since record_start
  Json& start = meta["starts"].back();
  start["ended"] = utc_timestamp();
  for (Json* json : {&meta, &start}) {
    (*json)["status"] = status;
    (*json)["exit_code"] = exit_code;
  }
  write_meta(paths_, meta);
}

std::vector<fs::path> find_runs(const fs::path& root, std::string_view project, std::string_view name) {
  std::vector<fs::path> paths;
  for (auto& [n, path] : numbered_runs(root / project, name)) {
    if (is_run({path})) paths.push_back(std::move(path));
  }
  return paths;
}

RunStatus read_status(const RunPaths& paths) {
  RunStatus status;
  status.locked = FileLock::is_held(paths.lock());
  if (const auto meta = read_meta(paths)) {
    status.status = meta->at("status").get<std::string>();
    if (!meta->at("exit_code").is_null()) status.exit_code = meta->at("exit_code").get<int>();
    status.starts = static_cast<int>(meta->at("starts").size());
    if (status.starts > 0 && meta->at("starts").back().contains("modules"))
      status.modules = meta->at("starts").back().at("modules").get<std::map<std::string, std::string>>();
  }
  return status;
}

}  // namespace trainctl
