// `check`: what a config would do, before anything runs.
#pragma once

#include <filesystem>
#include <string>

#include "experiment/experiment.h"

namespace trainctl {

struct CheckOptions {
  std::filesystem::path config;
  Overrides overrides;
  std::string device;     ///< empty: as the config says
  bool read_data = true;  ///< whether data headers are read; without them only the spec is checked
};

struct CheckReport {
  std::string resolved_yaml;
  std::string text;  ///< resolved spec, layer table, programs, memory plan, as a terminal shows them
  std::string json;  ///< the same as one JSON document
};

/// Everything that can be known of an experiment without allocating its memory. Throws a ConfigError with every error.
CheckReport check(const CheckOptions& options);

}  // namespace trainctl
