#include "device/module.h"

#include <dlfcn.h>

#include <algorithm>
#include <fstream>
#include <iterator>

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
