// The files of results: <split>.json, <split>_predictions.h5 and plots, from predictions as they come.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "results/rows_file.h"
#include "results/spec.h"
#include "store/history.h"

namespace trainctl {

/// What the predictions are of.
struct ResultsHeader {
  std::string checkpoint, weights;
  std::int64_t epoch = 0, step = 0, samples = 0;
  NamedValues values;  ///< the metrics of the split
};

class ResultsWriter {
 public:
  /// Makes `folder`. `info` is what a sample's prediction and target are.
  ResultsWriter(std::filesystem::path folder, std::string split, const ResultsSpec& spec, const PredictionInfo& info,
                std::int64_t samples);
  /// The next samples: outputs (count, ...) in f32, their targets in `info`'s type, their numbers in the data set.
  void add(std::int64_t count, const float* outputs, const std::byte* targets, const std::int32_t* ids);
  /// Writes everything, the JSON last.
  void finish(const ResultsHeader& header);

  static std::filesystem::path json_path(const std::filesystem::path& folder, const std::string& split);
  /// Whether `folder` has results of that split, made as `spec` says with those weights of that step.
  static bool exists(const std::filesystem::path& folder, const std::string& split, const ResultsSpec& spec,
                     const std::string& weights, std::int64_t step);

 private:
  void remove_older(const std::vector<std::string>& files) const;

  std::filesystem::path folder_;
  std::string split_;
  const ResultsSpec& spec_;
  std::size_t width_, target_width_;
  DType target_;
  std::vector<std::unique_ptr<Tally>> tallies_;  ///< of the packages; null for one that is not of the split
  std::unique_ptr<RowsFile> rows_;
  std::int64_t written_ = 0;
  std::vector<double> outputs_, targets_;  ///< of the samples at hand
};

}  // namespace trainctl
