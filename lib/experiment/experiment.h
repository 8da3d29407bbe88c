// From a config file to an experiment that can be checked, run and measured.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "device/device.h"
#include "schema/resolve.h"
#include "store/source_copy.h"
#include "train/placement.h"
#include "train/spec.h"

namespace trainctl {

/// A config file, read and resolved.
struct Experiment {
  std::filesystem::path file;
  std::string original;  ///< the file's text as given
  ExperimentSpec spec;
  /// The complete spec as YAML: what config.yaml holds and what runs again.
  std::string resolved_yaml() const;
};

/// Reads a config with what it extends and the overrides. Throws a ConfigError with every error.
Experiment load_experiment(const std::filesystem::path& file, const Overrides& overrides);
/// The files that `save_source` names; see find_sources().
SourceFiles sources_of(const ExperimentSpec& spec);
/// What the data sets of the spec hold, from their headers. `splits` empty: all that the spec has.
DataInfos describe_data(const ExperimentSpec& spec, const std::vector<std::string>& splits = {});
/// Opens "cpu", "cuda" or "auto" (a GPU where one is found, else the CPU). An environment Error says why there is none.
std::unique_ptr<Device> open_device(const std::string& wanted, int threads);

}  // namespace trainctl
