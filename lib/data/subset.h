// A part of a dataset: given samples, a range, one side of a seeded random split, a fold, the first so many samples.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/dataset.h"
#include "schema/schema.h"

namespace trainctl {

/// The two sides of a random split: the samples that were drawn, and those that were not.
enum class SubsetPart { first, rest };

template <>
struct EnumNames<SubsetPart> {
  static constexpr EnumName<SubsetPart> names[] = {{SubsetPart::first, "first"}, {SubsetPart::rest, "rest"}};
};

/// Gives the values of a field of the dataset, for splits that look at them.
using FieldReader = std::function<Column(std::string_view)>;

/// Which samples of a dataset are used. The restrictions apply in this order: given ids or a range, then the random
/// split (a fraction, or a fold of several), then first. Two subsets that differ in `part` alone (first, rest) are
/// disjoint and together complete.
struct Subset {
  std::vector<std::int64_t> ids{};        ///< sample numbers; empty: all
  std::optional<Path> ids_file{};         ///< a file of sample numbers
  std::vector<std::int64_t> range{};      ///< [from, to) of sample numbers; empty: all
  double fraction = 1.0;                  ///< of the samples, drawn at random, that the first part takes
  std::int64_t folds = 0;                 ///< 0: none
  std::int64_t fold = 0;                  ///< which of them the first part is
  std::optional<std::string> stratify{};  ///< a field of classes that each part has in equal shares
  std::optional<std::string> group{};     ///< a field whose equal values stay in one part
  SubsetPart part = SubsetPart::first;
  std::int64_t seed = 0;   ///< of the draw; independent of the experiment's seed
  std::int64_t first = 0;  ///< at most so many samples of what is left; 0: all

  static Schema<Subset> schema();
  void check(Diagnostics& diagnostics, const Node& node) const;

  /// The chosen numbers of `samples` samples, ascending. `read` is asked for the field that `stratify` or `group`
  /// names. Throws a config Error if numbers do not fit, there are more folds than samples or groups, or nothing is
  /// left; a data Error with file and line for a damaged ids_file.
  std::vector<std::int32_t> select(std::int64_t samples, const FieldReader& read = {}) const;

 private:
  std::vector<std::int32_t> candidates(std::int64_t samples) const;
  std::vector<std::int32_t> split(std::vector<std::int32_t> ids, const FieldReader& read) const;
};

/// Sample numbers as text, one a line, as `ids_file` reads them; lines from a # on are comments.
std::string ids_text(std::string_view comment, const std::vector<std::int32_t>& ids);

}  // namespace trainctl
