#include "data/partition.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "base/philox.h"
#include "data/sample_order.h"

namespace trainctl {

Partition::Partition(std::vector<std::int32_t> ids, std::uint64_t seed) : ids_(std::move(ids)) {
  shuffle_in_place(stream_hash(seed, "data.split"), 0, ids_);
}

void Partition::stratify(const Column& classes) {
  const Field& field = classes.field;
  if (field.classes == 0 || field.dtype != DType::i64 || field.shape.elements() != 1) {
    fail(ErrorKind::config, "subset: stratify needs a field with one class a sample; '{}' holds {} {}", field.name,
         name(field.dtype), field.shape.text());
  }
  const auto* labels = classes.as<std::int64_t>();
  std::ranges::stable_sort(ids_, {}, [labels](std::int32_t id) { return labels[id]; });
  stratified_ = true;
}

void Partition::group(const Column& values) {
  const std::size_t bytes = values.field.sample_bytes();
  // Groups in the order in which the shuffled samples name them first.
  std::map<std::string_view, std::size_t> number;
  std::vector<std::vector<std::int32_t>> members;
  for (const std::int32_t id : ids_) {
    const char* at = reinterpret_cast<const char*>(values.data()) + static_cast<std::size_t>(id) * bytes;
    const auto [found, added] = number.emplace(std::string_view(at, bytes), members.size());
    if (added) members.emplace_back();
    members[found->second].push_back(id);
  }
  ids_.clear();
  for (const auto& of_group : members) {
    groups_.push_back({ids_.size(), ids_.size() + of_group.size()});
    ids_.insert(ids_.end(), of_group.begin(), of_group.end());
  }
  grouped_ = true;
}

void Partition::draw(const Unit& unit, Drawn& drawn) const {
  std::fill(drawn.begin() + static_cast<std::ptrdiff_t>(unit.begin),
            drawn.begin() + static_cast<std::ptrdiff_t>(unit.end), true);
}

Partition::Drawn Partition::share(double fraction) const {
  Drawn drawn(ids_.size(), false);
  const auto wanted = static_cast<std::uint64_t>(std::llround(fraction * static_cast<double>(ids_.size())));
  if (grouped_) {
    std::uint64_t taken = 0;
    for (const Unit& unit : groups_) {
      if (taken + unit.size() > wanted && taken + unit.size() - wanted >= wanted - taken) continue;
      draw(unit, drawn);
      taken += unit.size();
      if (taken >= wanted) break;
    }
  } else if (stratified_) {
    // Evenly spread: sample i is drawn where i * wanted / n passes a whole number.
    for (std::uint64_t i = 0; i < ids_.size(); ++i)
      drawn[i] = (i + 1) * wanted / ids_.size() > i * wanted / ids_.size();
  } else {
    draw({0, wanted}, drawn);
  }
  return drawn;
}

Partition::Drawn Partition::fold(std::int64_t folds, std::int64_t fold) const {
  const std::size_t units = grouped_ ? groups_.size() : ids_.size();
  if (static_cast<std::size_t>(folds) > units) {
    fail(ErrorKind::config, "subset: {} folds of {} {}: each needs one at least; lower 'folds'", folds, units,
         grouped_ ? "groups" : "samples");
  }
  Drawn drawn(ids_.size(), false);
  if (!grouped_) {
    for (std::size_t i = static_cast<std::size_t>(fold); i < ids_.size(); i += static_cast<std::size_t>(folds))
      drawn[i] = true;
    return drawn;
  }
  std::vector<Unit> largest_first = groups_;
  std::ranges::stable_sort(largest_first, std::ranges::greater(), &Unit::size);
  std::vector<std::size_t> sizes(static_cast<std::size_t>(folds), 0);
  for (const Unit& unit : largest_first) {
    const auto smallest = std::ranges::min_element(sizes);
    *smallest += unit.size();
    if (smallest - sizes.begin() == fold) draw(unit, drawn);
  }
  return drawn;
}

void Partition::divide(const Drawn& drawn, std::vector<std::int32_t>& first, std::vector<std::int32_t>& rest) const {
  for (std::size_t i = 0; i < ids_.size(); ++i) (drawn[i] ? first : rest).push_back(ids_[i]);
}

}  // namespace trainctl
