#include "experiment/modules.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <set>

#include "base/child.h"
#include "base/error.h"
#include "base/file.h"
#include "base/sha256.h"
#include "base/text.h"
#include "device/module.h"

namespace trainctl {
namespace {

namespace fs = std::filesystem;
using Name = std::pair<std::string, std::string>;

constexpr unsigned seconds_to_load = 60;
constexpr std::uint64_t max_file_bytes = std::uint64_t{1} << 30;
constexpr const char* fits = "fits";

std::vector<UserModule>& loaded() {
  static std::vector<UserModule> all;
  return all;
}

std::set<Name> known_components() {
  std::set<Name> names;
  for (const Kind* kind : kinds()) {
    for (const ComponentInfo* component : kind->components()) names.emplace(kind->name(), component->name);
  }
  return names;
}

std::vector<Name> added_since(const std::set<Name>& before) {
  std::vector<Name> added;
  for (const Name& name : known_components()) {
    if (!before.contains(name)) added.push_back(name);
  }
  return added;
}

std::string reason_of(const std::exception_ptr& thrown) {
  try {
    std::rethrow_exception(thrown);
  } catch (const std::exception& error) {
    return error.what();
  } catch (...) {
    return "an exception that is no std::exception";
  }
}

/// A text that a child leaves behind when it dies of an exception: memory that both see.
class LastWords {
 public:
  LastWords() {
    void* memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    text_ = memory == MAP_FAILED ? nullptr : static_cast<char*>(memory);
  }
  ~LastWords() {
    if (text_) ::munmap(text_, size);
  }
  LastWords(const LastWords&) = delete;
  LastWords& operator=(const LastWords&) = delete;

  /// In the child: an exception that leaves a static initialiser ends the process, and cannot be caught.
  void keep() {
    page = text_;
    std::set_terminate([] {
      if (page && std::current_exception()) std::strncpy(page, reason_of(std::current_exception()).c_str(), size - 1);
      std::abort();
    });
  }
  std::string text() const { return text_ ? text_ : ""; }

 private:
  static constexpr std::size_t size = 4096;
  static inline char* page = nullptr;
  char* text_ = nullptr;
};

/// Loads the module and makes one of each of its components; says what is wrong. For a child process.
std::string trial(const fs::path& path) {
  try {
    const std::set<Name> before = known_components();
    load_module(path);
    for (const auto& [kind_name, name] : added_since(before)) {
      const ComponentInfo* component = kind(kind_name).find(name);
      try {
        component->object();
        component->create();  // the child ends soon
      } catch (...) {
        return fmt::format("{}: its {} '{}' cannot be made: {}", path.string(), kind_name, name,
                           reason_of(std::current_exception()));
      }
    }
    return fits;
  } catch (...) {
    const std::string reason = reason_of(std::current_exception());
    return reason.find(path.string()) == std::string::npos ? path.string() + ": " + reason : reason;
  }
}

}  // namespace

const std::vector<UserModule>& user_modules() {
  return loaded();
}

std::string module_text(const UserModule& module) {
  std::vector<std::string> components;
  for (const auto& [kind, name] : module.components) components.push_back(kind + " " + name);
  return fmt::format("module {} ({}): {}\n", module.name, module.path.string(),
                     components.empty() ? "no components" : join(components, ", "));
}

void load_user_module(const fs::path& path) {
  const fs::path absolute = fs::absolute(path).lexically_normal();
  if (std::ranges::find(loaded(), absolute, &UserModule::path) != loaded().end()) return;
  const Bytes file = read_bytes(absolute, max_file_bytes);
  LastWords words;
  const auto result = run_in_child(
      [&] {
        words.keep();
        return trial(absolute);
      },
      seconds_to_load);
  if (!result) {
    const std::string said = words.text();
    fail(ErrorKind::config, "{}: {}", absolute.string(),
         said.empty() ? "crashes when it is loaded, or takes more than a minute"
                      : "throws while it is loaded or makes a component: " + said);
  }
  if (*result != fits) fail(ErrorKind::config, "{}", *result);
  const std::set<Name> before = known_components();
  load_module(absolute);
  const auto status = std::ranges::find(modules(), absolute, &ModuleStatus::path);
  loaded().push_back(
      {.path = absolute, .name = status->name, .sha256 = sha256_hex(file.span()), .components = added_since(before)});
}

void read_experiment(ExperimentSpec& spec, const Node& resolved, Diagnostics& diagnostics) {
  if (const Node* modules = resolved.find("modules")) {
    for (std::size_t i = 0; i < modules->items().size(); ++i) {
      const Node& item = modules->items()[i];
      Diagnostics placed;  // what is no path is told when the spec is read
      Path path;
      read(path, item, placed);
      if (!placed.ok() || path.value.empty()) continue;
      const Diagnostics::Scope scope(diagnostics, "modules");
      const Diagnostics::Scope inner(diagnostics, i);
      try {
        load_user_module(path.value);
      } catch (const Error& error) {
        diagnostics.error(item, error.what());
      }
    }
    if (!diagnostics.ok()) return;  // its components would all be unknown
  }
  read(spec, resolved, diagnostics);
}

ExperimentSpec read_experiment(const Node& resolved) {
  ExperimentSpec spec;
  Diagnostics diagnostics;
  read_experiment(spec, resolved, diagnostics);
  diagnostics.throw_if_any();
  return spec;
}

}  // namespace trainctl
