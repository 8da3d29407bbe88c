#include "experiment/experiment.h"

#include <future>

#include "base/error.h"
#include "base/file.h"
#include "schema/yaml.h"

namespace trainctl {

Experiment load_experiment(const std::filesystem::path& file, const Overrides& overrides) {
  Experiment experiment;
  experiment.file = file;
  Diagnostics diagnostics;
  if (const auto resolved = load_spec(file, overrides, diagnostics)) read(experiment.spec, *resolved, diagnostics);
  diagnostics.throw_if_any();
  experiment.original = read_file(file);
  return experiment;
}

std::string Experiment::resolved_yaml() const {
  return to_yaml(write(spec));
}

std::map<std::string, DatasetInfo> describe_data(const ExperimentSpec& spec, const std::vector<std::string>& splits) {
  std::map<std::string, DatasetInfo> data;
  for (const char* name : {"train", "val", "test"}) {
    const SplitSpec* split = spec.data.find(name);
    if (!split || (!splits.empty() && std::find(splits.begin(), splits.end(), name) == splits.end())) continue;
    data.emplace(name, split->dataset->describe());
  }
  return data;
}

std::unique_ptr<Device> open_device(const std::string& wanted, int threads) {
  const DeviceRegistry& registry = DeviceRegistry::instance();
  if (wanted == "auto") {
    if (const DeviceDriver* cuda = registry.find("cuda"); cuda && !cuda->probe().empty()) return cuda->open(threads);
    return registry.find("cpu")->open(threads);
  }
  const DeviceDriver* driver = registry.find(wanted);
  if (!driver) {
    fail(ErrorKind::environment,
         "device '{}' is not available: this build has no module for it; `trainctl doctor` says more, --device cpu "
         "works here",
         wanted);
  }
  return driver->open(threads);
}

}  // namespace trainctl
