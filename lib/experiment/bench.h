// `bench`: how fast a config trains, and where the time goes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "experiment/experiment.h"

namespace trainctl {

struct BenchOptions {
  std::filesystem::path config;
  Overrides overrides;
  std::string device;
  int steps = 0;  ///< updates in a repeat; 0: as many as take about a second
  int repeats = 5;
  bool ops = true;  ///< whether each op is measured by itself, which takes some hundred updates' time
};

struct BenchOp {
  std::string op;
  std::string path;            ///< of the layer
  std::string implementation;  ///< "onednn jit:avx512_core", "loops:v4"; a reference is flagged
  double median_s = 0.0;
  double flops = 0.0;
  double bytes = 0.0;
  bool reference = false;
};

struct BenchResult {
  std::vector<double> samples_per_s;  ///< each repeat
  double median_samples_per_s = 0.0;
  double first_step_s = 0.0;  ///< from the start of the process to the end of the first update
  double peak_rss_mib = 0.0;
  double peak_device_mib = 0.0;  ///< memory of a GPU; 0 on the CPU
  std::size_t arena_bytes = 0;
  std::size_t state_bytes = 0;
  std::vector<double> losses;  ///< mean training loss of each update of the first repeat, from the first one on
  std::vector<BenchOp> ops;    ///< of one update, in order; none if not asked for
  std::string device;
  int threads = 0;
  std::int64_t batch = 0;
};

BenchResult bench(const BenchOptions& options);

}  // namespace trainctl
