// A part of a dataset: a range, one side of a seeded random split, the first so many samples.
#pragma once

#include <cstdint>
#include <vector>

#include "schema/schema.h"

namespace trainctl {

/// The two sides of a random split: the samples that were drawn, and those that were not.
enum class SubsetPart { first, rest };

template <>
struct EnumNames<SubsetPart> {
  static constexpr EnumName<SubsetPart> names[] = {{SubsetPart::first, "first"}, {SubsetPart::rest, "rest"}};
};

/// Which samples of a dataset are used. The restrictions apply in this order: range, then the random split, then first.
/// Two subsets that differ in `part` alone (first, rest) are disjoint and together complete.
struct Subset {
  std::vector<std::int64_t> range{};  ///< [from, to) of sample numbers; empty: all
  double fraction = 1.0;              ///< of the samples, drawn at random, that the first part takes
  SubsetPart part = SubsetPart::first;
  std::int64_t seed = 0;   ///< of the draw; independent of the experiment's seed
  std::int64_t first = 0;  ///< at most so many samples of what is left; 0: all

  static Schema<Subset> schema();

  /// The chosen numbers of `samples` samples, ascending. Throws a config Error if the range does not fit or nothing is
  /// left.
  std::vector<std::int32_t> select(std::int64_t samples) const;
};

}  // namespace trainctl
