// Predictions of samples that need no targets, in an HDF5 or a CSV file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "device/types.h"
#include "nn/loss.h"

namespace trainctl {

/// One output of a model, and what its numbers mean.
struct PredictedOutput {
  std::string name = {};                      ///< the field that it answers for, where there are several; else empty
  Shape shape = {};                           ///< of one sample
  Link link = Link::none;                     ///< how its numbers become probabilities
  bool probabilities = false;                 ///< they are probabilities already
  std::vector<std::string> class_names = {};  ///< where the data had them
  std::vector<std::string> columns = {};      ///< names of its numbers, where they are values and the data had them

  bool classifies() const { return link == Link::softmax || link == Link::log_softmax; }
  /// Classes along the first axis, where it classifies.
  std::int64_t classes() const { return shape[0]; }
  /// The names of its classes (two, where it says yes or no), else their numbers.
  std::vector<std::string> labels() const;
  /// The shape of the class of a sample.
  Shape class_shape() const { return classifies() ? shape.slice(1) : shape; }
};

/// The probabilities of `count` samples, in float64 from the numbers of an output: softmax or e^x over the classes, or
/// 1 / (1 + e^-x).
void probabilities_of(const PredictedOutput& output, std::int64_t count, const float* numbers, float* into);
/// The most probable class, the first of several; of yes or no 1 from 1/2 on. -1 where a number is NaN.
void classes_of(const PredictedOutput& output, std::int64_t count, const float* probabilities, std::int32_t* into);

/// Takes predictions part by part. The file is written beside its place and takes it in finish(), so that there is the
/// old file or the whole new one. A full disk is an environment Error.
class PredictionFile {
 public:
  struct Contents {
    std::vector<PredictedOutput> outputs;
    std::int64_t samples = 0;
    std::vector<std::string> files = {};  ///< of the samples, where each has one
  };
  virtual ~PredictionFile() = default;
  /// The next samples: the numbers of each output, and the samples' numbers in the data set.
  virtual void add(std::span<const std::vector<float>> outputs, std::span<const std::int32_t> ids) = 0;
  virtual void finish() = 0;

  /// By the ending: .h5 or .hdf5 for HDF5, .csv for text. A usage Error for any other, and for samples of too many
  /// numbers for a table.
  static std::unique_ptr<PredictionFile> create(const std::filesystem::path& path, Contents contents);
  /// The usage Error of create(), before anything else is done.
  static void check_ending(const std::filesystem::path& path);
};

}  // namespace trainctl
