// Numbers that are taken from the training samples before anything is built: from them alone, after subset and fold,
// and never from validation or test data. A run keeps them in its config and checkpoints, so that a resume and every
// evaluation use the same.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "data/sampler.h"
#include "nn/standardize.h"
#include "schema/schema.h"

namespace trainctl {

struct ExperimentSpec;

/// What of a field's samples has a mean and a deviation of its own.
enum class Per : std::uint8_t {
  channel,  ///< an entry of a sample's first axis: a column of a table, a channel of an image
  element,  ///< an element of a sample
  all,      ///< all numbers together
};
template <>
struct EnumNames<Per> {
  static constexpr EnumName<Per> names[] = {{Per::channel, "channel"}, {Per::element, "element"}, {Per::all, "all"}};
};

/// An entry of `data.standardize`.
struct StandardizeSpec {
  Per per = Per::channel;
  mutable Source source{};  ///< where it is written, for faults that only the data shows
  static Schema<StandardizeSpec> schema();
  void check(Diagnostics& diagnostics, const Node& node) const;
};

/// The section `fitted` of a run's config.
struct Fitted {
  OrderedMap<Moments> standardize;                     ///< by field
  OrderedMap<std::vector<std::int64_t>> class_counts;  ///< by field: training samples of each class
  static Schema<Fitted> schema();
};

/// Mean and population deviation of the samples' numbers in float64, in the samples' order, so that equal data give
/// equal bits; bytes count as x / 255. As in scikit-learn's StandardScaler the deviation is 1 where the numbers do not
/// differ by more than rounding. Throws a data Error where a number is not finite.
Moments fit_moments(const SampleSource& source, std::string_view field, std::span<const std::int32_t> samples, Per per);

/// How many of the samples are of each class. Throws a config Error that names the classes without any.
std::vector<std::int64_t> count_classes(const Column& labels, std::span<const std::int32_t> samples);

/// Everything that the spec has fitted, from the training split; reads the fields concerned. Nothing if the spec has
/// nothing of the kind. Throws a ConfigError for fields that are not there or not numbers.
std::optional<Fitted> fit(const ExperimentSpec& spec, const DatasetInfo& train, const Sampler& sampler);

/// Gives what was fitted to the components that wait for it. A config Error if it is not there, as where a checkpoint
/// is evaluated with another config.
void hand_out_fitted(ExperimentSpec& spec);

}  // namespace trainctl
