// Components of the user's own, from shared objects that a spec or the command line names.
#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "schema/diagnostics.h"
#include "schema/node.h"
#include "train/spec.h"

namespace trainctl {

/// A shared object that is loaded, and what it brought.
struct UserModule {
  std::filesystem::path path;
  std::string name;                                                  ///< what it calls itself
  std::string sha256;                                                ///< of the file
  std::vector<std::pair<std::string, std::string>> components = {};  ///< kind and name
};

/// "module mine (/path/mine.so): layer mish, step auxiliary", as a line.
std::string module_text(const UserModule& module);

/// Those loaded so far, in that order.
const std::vector<UserModule>& user_modules();

/// Loads a module (lib/device/module.h), once. A child process tries it first: it is loaded there, and each of its
/// components is made with its defaults. What fails there (another build, a missing symbol, a name that is taken, a
/// constructor that throws, a crash) is a config Error with the reason, and nothing of it is in this process then.
void load_user_module(const std::filesystem::path& path);

/// Reads a resolved spec, after loading the `modules` that it names: components are looked up while it is read.
void read_experiment(ExperimentSpec& spec, const Node& resolved, Diagnostics& diagnostics);
/// The same; throws ConfigError with every error.
ExperimentSpec read_experiment(const Node& resolved);

}  // namespace trainctl
