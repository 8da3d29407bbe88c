#include "device/module.h"

#include <dlfcn.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <sstream>

#include "base/error.h"

namespace trainctl {
namespace {

// Written in two parts, so that the program itself does not hold the marker.
const std::string marker = std::string("trainctl module") + " build ";

std::vector<ModuleStatus>& tried() {
  static std::vector<ModuleStatus> all;
  return all;
}

/// The build id that a module's file holds; empty if it holds none.
std::string stored_build_id(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) fail(ErrorKind::environment, "{}: the module cannot be read", path.string());
  const std::string bytes((std::istreambuf_iterator<char>(file)), {});
  const auto at = bytes.find(marker);
  if (at == std::string::npos) return "";
  const auto begin = at + marker.size();
  return bytes.substr(begin, bytes.find('\0', begin) - begin);
}

}  // namespace

std::string_view build_id() {
  return TRAINCTL_BUILD_ID;
}

const std::vector<ModuleStatus>& modules() {
  return tried();
}

void load_module(const std::filesystem::path& path) {
  const auto absolute = std::filesystem::absolute(path).lexically_normal();
  const auto loaded = [&](const ModuleStatus& status) { return status.path == absolute && status.problem.empty(); };
  if (std::ranges::any_of(tried(), loaded)) return;
  const std::string id = stored_build_id(absolute);
  if (id.empty()) fail(ErrorKind::environment, "{}: not a trainctl module", absolute.string());
  if (id != build_id()) {
    fail(ErrorKind::environment,
         "{}: built for another trainctl (build {}, this is {}); build the module again with this one's headers",
         absolute.string(), id, build_id());
  }
  void* handle = dlopen(absolute.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!handle) fail(ErrorKind::environment, "{}: cannot be loaded: {}", absolute.string(), dlerror());
  const auto name = reinterpret_cast<const char* (*)()>(dlsym(handle, "trainctl_module_name"));
  if (!name)
    fail(ErrorKind::environment, "{}: has no trainctl_module_name; end one of its files with TRAINCTL_MODULE(\"name\")",
         absolute.string());
  tried().push_back({absolute, name(), ""});
}

std::vector<std::filesystem::path> module_folders() {
  std::vector<std::filesystem::path> folders;
  if (const char* given = std::getenv("TRAINCTL_MODULES")) {
    std::istringstream paths(given);
    for (std::string path; std::getline(paths, path, ':');) {
      if (!path.empty()) folders.emplace_back(path);
    }
    return folders;
  }
  std::error_code unknown;
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", unknown).parent_path();
  return {program / "modules", program.parent_path() / "lib/trainctl/modules"};
}

std::string load_named_module(std::string_view name) {
  std::string looked_in;
  for (const std::filesystem::path& folder : module_folders()) {
    const std::filesystem::path path = folder / (std::string(name) + ".so");
    looked_in += (looked_in.empty() ? "" : ", ") + path.string();
    std::error_code missing;
    if (!std::filesystem::exists(path, missing)) continue;
    const auto known =
        std::ranges::find(tried(), std::filesystem::absolute(path).lexically_normal(), &ModuleStatus::path);
    if (known != tried().end()) return known->problem;
    try {
      load_module(path);
      return "";
    } catch (const Error& error) {
      tried().push_back({std::filesystem::absolute(path).lexically_normal(), "", error.what()});
      return error.what();
    }
  }
  return fmt::format("there is no module '{}' ({})", name, looked_in);
}

void load_modules(const std::filesystem::path& folder) {
  std::error_code missing;
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder, missing)) {
    if (entry.path().extension() == ".so") files.push_back(entry.path());
  }
  std::ranges::sort(files);
  for (const auto& file : files) {
    try {
      load_module(file);
    } catch (const Error& error) {
      tried().push_back({file, "", error.what()});
    }
  }
}

}  // namespace trainctl
