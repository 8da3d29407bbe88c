// Samples divided at random: in a share and the rest, or in folds; by class, or by group.
#pragma once

#include <cstdint>
#include <vector>

#include "data/dataset.h"

namespace trainctl {

/// Samples in a random order that is a function of the seed alone, and which of them are drawn.
///
/// The samples are divided as units: single samples, or with group() all samples of one value. stratify() lets samples
/// of one class stand together, each class in random order, so that what takes every k-th of them takes every class in
/// its share.
class Partition {
 public:
  /// A flag for each sample, in the partition's order.
  using Drawn = std::vector<bool>;

  Partition(std::vector<std::int32_t> ids, std::uint64_t seed);

  /// Throws a config Error unless `classes` has a class for each sample.
  void stratify(const Column& classes);
  /// Samples whose bytes in `values` are equal are drawn together.
  void group(const Column& values);

  /// Draws round(fraction * samples): the first of the random order; stratified, evenly from all classes; of groups,
  /// as many as come nearest to it, in random order.
  Drawn share(double fraction) const;
  /// Draws fold number `fold` of `folds`. Fold sizes differ by one sample at most, and stratified each class's too.
  /// Groups are dealt out from the largest to the smallest, each to the fold that is smallest (Graham: Bounds on
  /// multiprocessing timing anomalies, 1969). Throws a config Error if there are fewer samples or groups than folds.
  Drawn fold(std::int64_t folds, std::int64_t fold) const;

  /// The samples that are drawn, and the others.
  void divide(const Drawn& drawn, std::vector<std::int32_t>& first, std::vector<std::int32_t>& rest) const;

 private:
  struct Unit {
    std::size_t begin, end;  // of ids_
    std::size_t size() const { return end - begin; }
  };
  void draw(const Unit& unit, Drawn& drawn) const;

  std::vector<std::int32_t> ids_;
  std::vector<Unit> groups_;  // empty: samples are the units
  bool grouped_ = false;
  bool stratified_ = false;
};

}  // namespace trainctl
