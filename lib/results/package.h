// Result packages: what is told of a model's predictions on a split, from predictions and targets alone.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "device/types.h"
#include "report/svg_plot.h"
#include "schema/schema.h"

namespace trainctl {

/// What one sample's prediction and target are.
struct PredictionInfo {
  Shape output;                               ///< of one sample
  Shape target;                               ///< of one sample; class numbers (), values (3), masks (H, W)
  bool probabilities = false;                 ///< the model has an `output` layer, such as softmax
  std::vector<std::string> class_names = {};  ///< of the targets, where the data set has them
  DType target_dtype = DType::f32;
};

/// Some samples, row-major, one behind the other.
struct Predictions {
  std::int64_t samples = 0;
  std::span<const double> outputs;
  std::span<const double> targets;
};

/// A rectangle of numbers with names: measures of each class, a confusion matrix.
struct ResultTable {
  std::string name;
  std::vector<std::string> columns;
  std::vector<std::string> rows;
  std::vector<double> cells;  ///< row-major; NaN: not defined
};

/// What a package found.
struct Findings {
  struct Value {
    std::string name;
    double value = 0.0;       ///< NaN: not defined
    std::string reason = {};  ///< why, if it is not
  };
  std::vector<Value> values;
  std::vector<ResultTable> tables;
  std::vector<std::pair<std::string, Panel>> plots;  ///< by the name of the file
  std::vector<ResultTable> pictures = {};            ///< tables that are drawn too
  /// The value of that name; an internal Error if there is none.
  const Value& value(std::string_view name) const;
};

/// Takes predictions in, a part at a time, and tells at the end what it found. All arithmetic is float64.
class Tally {
 public:
  virtual ~Tally() = default;
  virtual void add(const Predictions& some) = 0;
  virtual Findings finish() const = 0;
};

/// Whether outputs are logits or probabilities. automatic: probabilities where the model has an `output` layer.
enum class Scores : std::uint8_t { automatic, logits, probabilities };
template <>
struct EnumNames<Scores> {
  static constexpr EnumName<Scores> names[] = {
      {Scores::automatic, "auto"}, {Scores::logits, "logits"}, {Scores::probabilities, "probabilities"}};
};

/// A preset of measures and plots. One file each in lib/results/packages.
struct ResultPackage {
  static constexpr const char* kind = "result_package";

  std::vector<std::string> splits;  ///< that it is of; empty: all

  virtual ~ResultPackage() = default;
  bool is_of(std::string_view split) const {
    return splits.empty() || std::ranges::find(splits, split) != splits.end();
  }
  /// Ready for the first sample. A config Error if predictions or targets do not fit.
  virtual std::unique_ptr<Tally> begin(const PredictionInfo& info) const = 0;

  template <typename T>
  static void common(Schema<T>& schema);
};

template <typename T>
void ResultPackage::common(Schema<T>& schema) {
  schema.field("splits", &ResultPackage::splits, "Of which of results.splits it tells; by default of all.");
}

/// A target as one of `classes` class numbers; a data Error if it is none.
std::int64_t class_of(double target, std::int64_t classes);
/// Whether outputs are logits.
bool are_logits(Scores scores, const PredictionInfo& info);
/// Names of `count` classes: the data set's, else numbers.
std::vector<std::string> class_labels(const PredictionInfo& info, std::int64_t count);

}  // namespace trainctl
