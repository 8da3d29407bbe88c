#include <sys/utsname.h>

#include <nlohmann/json.hpp>

#include "arguments.h"
#include "base/libraries.h"
#include "base/version.h"
#include "device/device.h"
#include "device/module.h"
#include "experiment/modules.h"
#include "kernels/cpu/dispatch.h"
#include "output.h"
#include "report/text_table.h"
#include "store/provenance.h"

namespace trainctl::app {
namespace {

using Json = nlohmann::ordered_json;

struct DeviceFinding {
  std::string name;
  bool usable = false;
  std::vector<std::string> lines;  ///< what was found, or why nothing was
};

/// Opens each device, as a run would: what a probe cannot see shows there.
std::vector<DeviceFinding> find_devices() {
  std::vector<DeviceFinding> found;
  const std::string problem = load_named_module("cuda");
  for (const auto& driver : DeviceRegistry::instance().drivers()) {
    DeviceFinding finding{.name = std::string(driver->name()), .lines = driver->probe()};
    try {
      driver->open(1);
      finding.usable = true;
    } catch (const std::exception& error) {
      finding.lines.emplace_back(error.what());
    }
    found.push_back(std::move(finding));
  }
  if (!DeviceRegistry::instance().find("cuda")) {
    found.push_back({"cuda", false, {problem}});
  }
  return found;
}

std::string system_text() {
  utsname system{};
  if (::uname(&system) != 0) return "unknown";
  return std::string(system.sysname) + " " + system.release + " " + system.machine;
}

Json modules_json() {
  Json list = Json::array();
  for (const UserModule& module : user_modules()) {
    Json components = Json::array();
    for (const auto& [kind, name] : module.components) components.push_back({{"kind", kind}, {"type", name}});
    list.push_back({{"path", module.path.string()},
                    {"name", module.name},
                    {"sha256", module.sha256},
                    {"components", std::move(components)}});
  }
  return list;
}

class Doctor final : public Command {
 public:
  void declare(Arguments& arguments) override { arguments.example("trainctl doctor --json"); }

  int run(const Globals& globals) override {
    if (globals.json)
      print_json(json());
    else
      print(text());
    return 0;
  }

 private:
  static Json json() {
    Json devices = Json::array();
    for (const DeviceFinding& device : find_devices()) {
      devices.push_back({{"name", device.name}, {"usable", device.usable}, {"found", device.lines}});
    }
    return {{"version", version_text()},
            {"build", build_text()},
            {"system", system_text()},
            {"host", host_name()},
            {"libraries", libraries()},
            {"devices", std::move(devices)},
            {"cpu_loops", cpu::name(cpu::isa())},
            {"modules", modules_json()}};
  }

  static std::string text() {
    const std::vector<DeviceFinding> devices = find_devices();  // first: it loads modules, which register libraries
    std::string text =
        fmt::format("trainctl {} ({})\n{}, {}\n\n", version_text(), build_text(), host_name(), system_text());
    TextTable table({{"library"}, {"version"}});
    for (const auto& [name, version] : libraries()) table.add({name, version});
    text += table.text() + "\n";
    for (const DeviceFinding& device : devices) {
      text += fmt::format("{}: {}\n", device.name, device.usable ? "usable" : "not usable");
      for (const std::string& line : device.lines) text += "  " + line + "\n";
    }
    for (const UserModule& module : user_modules()) text += module_text(module);
    return text + fmt::format("cpu loops: x86-64-{} (TRAINCTL_CPU_ISA=v2, v3 or v4 in the environment lowers it)\n",
                              cpu::name(cpu::isa()));
  }
};

}  // namespace

std::unique_ptr<Command> make_doctor() {
  return std::make_unique<Doctor>();
}

}  // namespace trainctl::app
