// Modules: shared objects that bring devices, kernels or other components, loaded at run time.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace trainctl {

/// Identifies the headers, version and compiler that a binary was built from. A module fits a program only if both have
/// the same.
std::string_view build_id();

/// A module that was tried.
struct ModuleStatus {
  std::filesystem::path path;
  std::string name;     ///< what it calls itself; empty if it could not be loaded
  std::string problem;  ///< why not; empty if it is loaded
};

/// Loads a module. Its build id is read from the file before any of its code runs; a mismatch, a file that is no
/// module, and a missing library or symbol are an environment Error that says which, and nothing of it is registered
/// then. Loading one twice does nothing.
void load_module(const std::filesystem::path& path);

/// Where modules are looked for, in order: the folders of $TRAINCTL_MODULES (separated by colons) if it is set, else
/// `modules` beside the program and `../lib/trainctl/modules` from there, as installed.
std::vector<std::filesystem::path> module_folders();

/// Loads `name`.so from the first of module_folders() that has it, once. What went wrong is kept for `doctor`, and
/// returned: "" if the module is loaded.
std::string load_named_module(std::string_view name);

/// Loads every *.so of a folder, and keeps what went wrong for `doctor` instead of throwing. A missing folder has no
/// modules.
void load_modules(const std::filesystem::path& folder);

/// Every module tried so far.
const std::vector<ModuleStatus>& modules();

}  // namespace trainctl

/// Makes a shared object a module called `module_name`; once, in one of its files. Components, kernels and devices
/// register themselves as in the program.
#define TRAINCTL_MODULE(module_name)                                                           \
  extern "C" __attribute__((visibility("default"), used)) const char trainctl_module_build[] = \
      "trainctl module build " TRAINCTL_BUILD_ID;                                              \
  extern "C" __attribute__((visibility("default"))) const char* trainctl_module_name() {       \
    return module_name;                                                                        \
  }
