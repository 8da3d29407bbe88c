#include "experiment/restored.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "experiment/modules.h"
#include "schema/yaml.h"
#include "store/history.h"
#include "store/run_directory.h"

namespace trainctl {
namespace {

/// The checkpoints of a folder by name, the newest of them if there are many.
std::string names_in(const std::filesystem::path& folder) {
  constexpr std::size_t most = 8;
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    if (entry.path().extension() == ".h5") names.push_back(entry.path().stem().string());
  }
  std::ranges::sort(names, std::greater());
  if (names.size() > most) names.resize(most);
  return names.empty() ? "none" : join(names, ", ");
}

}  // namespace

ExperimentSpec experiment_of(const CheckpointReader& reader, const std::optional<std::filesystem::path>& config,
                             const Overrides& overrides) {
  Node resolved = parse_yaml_text(reader.experiment_yaml(), reader.path().string() + ":/experiment");
  if (config) {
    ExperimentSpec spec = std::move(load_experiment(*config, overrides).spec);
    const Node* fitted = resolved.find("fitted");  // of the training data, whatever this config's are
    spec.fitted.reset();
    if (fitted && !fitted->is_null()) spec.fitted = parse<Fitted>(*fitted);
    return spec;
  }
  Diagnostics diagnostics;
  resolved = resolve_spec(std::move(resolved), overrides, diagnostics);
  diagnostics.throw_if_any();
  return read_experiment(resolved);
}

std::unique_ptr<Device> open_device_for(ExperimentSpec& spec, const std::string& wanted) {
  auto device = open_device(wanted.empty() ? spec.trainer.device : wanted, static_cast<int>(spec.trainer.threads));
  if (spec.trainer.precision != Precision::fp32 && !device->reduced_precision()) {
    log::info("device {} evaluates in fp32 what was trained in less", device->name());
    spec.trainer.precision = Precision::fp32;
  }
  return device;
}

void restore_driven(Session& session, const CheckpointReader& reader) {
  const History history = History::from_json(reader.history_json(), reader.path().string());
  for (const DrivenValue& driven : session.blueprint().driven()) {
    if (!driven.policy) continue;
    std::optional<double> value;
    if (!history.records.empty()) value = find_value(history.records.back().values, driven.shown_as);
    session.scalars().set(driven.path, static_cast<float>(value.value_or(driven.base)));
  }
}

std::filesystem::path choose_checkpoint(const std::filesystem::path& run, std::string name, std::string& weights) {
  const bool by_weights = weights == ResultsSpec::best || weights == ResultsSpec::last;
  if (by_weights && !name.empty())
    fail(ErrorKind::usage, "--checkpoint {} --weights {}: both name a checkpoint; leave one out", name, weights);
  if (by_weights) name = std::exchange(weights, {});
  if (name.empty()) return run;
  if (!std::filesystem::is_directory(run))
    fail(ErrorKind::usage, "--checkpoint {}: {} is no run directory", name, run.string());
  const auto folder = RunPaths{run}.checkpoints();
  for (const auto& path : {folder / (name + ".h5"), folder / name}) {
    if (std::filesystem::is_regular_file(path)) return path;
  }
  fail(ErrorKind::usage, "--checkpoint {}: {} has no such file; it holds {}{}", name, folder.string(), names_in(folder),
       name == ResultsSpec::best ? "; `best` is kept where checkpoint.keep.best says what that is" : "");
}

}  // namespace trainctl
