#include "data/subset.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "base/philox.h"
#include "data/sampler.h"

namespace trainctl {
namespace {

// One side of the random split of `ids`, ascending.
std::vector<std::int32_t> split(std::vector<std::int32_t> ids, const Subset& subset) {
  shuffle_in_place(stream_hash(static_cast<std::uint64_t>(subset.seed), "data.split"), 0, ids);
  const auto drawn = std::llround(subset.fraction * static_cast<double>(ids.size()));
  if (subset.part == SubsetPart::first) {
    ids.resize(static_cast<std::size_t>(drawn));
  } else {
    ids.erase(ids.begin(), ids.begin() + drawn);
  }
  std::ranges::sort(ids);
  return ids;
}

}  // namespace

Schema<Subset> Subset::schema() {
  return Schema<Subset>(
             "Use a part of the dataset: first `range`, of that one side of a random split, of that the `first` ones.")
      .field("range", &Subset::range, at_least(0), "Sample numbers [from, to); all if left out.")
      .field("fraction", &Subset::fraction, between(0.0, 1.0), "Share of the samples that is drawn at random.")
      .field("part", &Subset::part, "`first` takes the drawn samples, `rest` those that were not drawn.")
      .field("seed", &Subset::seed, at_least(0),
             "Of the draw. Two subsets with the same seed and fraction, one `first`, one `rest`, share no sample.")
      .field("first", &Subset::first, at_least(0), "At most so many samples; 0: all.")
      .example("{fraction: 0.9}")
      .example("{fraction: 0.9, part: rest}")
      .example("{range: [0, 50000]}");
}

std::vector<std::int32_t> Subset::select(std::int64_t samples) const {
  std::int64_t from = 0;
  std::int64_t to = samples;
  if (!range.empty()) {
    if (range.size() != 2) fail(ErrorKind::config, "subset: 'range' needs two numbers, [from, to)");
    from = range[0];
    to = range[1];
    if (from < 0 || to > samples || from >= to) {
      fail(ErrorKind::config, "subset: the range [{}, {}) does not lie in the dataset's {} samples", from, to, samples);
    }
  }
  if (!(fraction >= 0.0 && fraction <= 1.0)) {
    fail(ErrorKind::config, "subset: fraction is {}; it must lie in [0, 1]", fraction);
  }
  std::vector<std::int32_t> ids(static_cast<std::size_t>(to - from));
  std::iota(ids.begin(), ids.end(), static_cast<std::int32_t>(from));
  if (fraction < 1.0 || part == SubsetPart::rest) ids = split(std::move(ids), *this);
  if (first > 0 && static_cast<std::size_t>(first) < ids.size()) ids.resize(static_cast<std::size_t>(first));
  if (ids.empty()) {
    fail(ErrorKind::config, "subset: nothing is left of {} samples with fraction {}, part {}", samples, fraction,
         part == SubsetPart::first ? "first" : "rest");
  }
  return ids;
}

}  // namespace trainctl
