#include "experiment/experiment.h"

#include <dlfcn.h>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "device/module.h"
#include "experiment/modules.h"
#include "schema/yaml.h"

namespace trainctl {

Experiment load_experiment(const std::filesystem::path& file, const Overrides& overrides) {
  Experiment experiment;
  experiment.file = file;
  Diagnostics diagnostics;
  if (const auto resolved = load_spec(file, overrides, diagnostics))
    read_experiment(experiment.spec, *resolved, diagnostics);
  diagnostics.throw_if_any();
  experiment.original = read_file(file);
  return experiment;
}

std::string Experiment::resolved_yaml() const {
  return to_yaml(write(spec));
}

SourceFiles sources_of(const ExperimentSpec& spec) {
  std::vector<std::filesystem::path> patterns;
  for (const Path& pattern : spec.save_source) patterns.push_back(pattern.value);
  return find_sources(patterns);
}

DataInfos describe_data(const ExperimentSpec& spec, const std::vector<std::string>& splits) {
  DataInfos data;
  for (const char* name : {"train", "val", "test"}) {
    const SplitSpec* split = spec.data.find(name);
    if (!split || (!splits.empty() && std::find(splits.begin(), splits.end(), name) == splits.end())) continue;
    data.emplace(name, split->dataset->describe());
  }
  return data;
}

namespace {

/// The driver of a kind of device, its module loaded; null, and the reason in `problem`, where there is none.
const DeviceDriver* find_driver(const std::string& name, std::string& problem) {
  const DeviceRegistry& registry = DeviceRegistry::instance();
  if (!registry.find(name)) problem = load_named_module(name);
  return registry.find(name);
}

/// Whether the machine has a driver for NVIDIA's GPUs. Loading CUDA's libraries takes a tenth of a second, for nothing
/// where it has none.
bool has_gpu_driver() {
  void* driver = dlopen("libcuda.so.1", RTLD_LAZY | RTLD_LOCAL);
  return driver != nullptr;  // kept open: the module needs it next
}

}  // namespace

std::unique_ptr<Device> open_device(const std::string& wanted, int threads) {
  std::string problem;
  if (wanted == "auto") {
    if (has_gpu_driver()) {
      try {
        if (const DeviceDriver* cuda = find_driver("cuda", problem)) return cuda->open(threads);
      } catch (const Error& error) {
        problem = error.what();
      }
      log::warn("there is a driver for GPUs, but the CPU is used: {}", problem);
    }
    return find_driver("cpu", problem)->open(threads);
  }
  const DeviceDriver* driver = find_driver(wanted, problem);
  if (!driver) {
    fail(ErrorKind::environment,
         "device '{}' is not available: {}; `trainctl doctor` says more, and --device cpu works here", wanted, problem);
  }
  return driver->open(threads);
}

}  // namespace trainctl
