#include "data/subset.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "data/partition.h"

namespace trainctl {
namespace {

/// The numbers of an ids_file.
std::vector<std::int64_t> read_ids(const std::filesystem::path& path) {
  std::vector<std::int64_t> ids;
  std::size_t line = 0;
  for (const std::string& text : split(read_file(path), '\n')) {
    ++line;
    const std::string_view number = trimmed(std::string_view(text).substr(0, text.find('#')));
    if (number.empty()) continue;
    std::int64_t id = 0;
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), id);
    if (error != std::errc() || end != number.data() + number.size() || id < 0) {
      fail(ErrorKind::data, "{}:{}: '{}' is not a sample number (one a line, from 0)", path.string(), line,
           printable(number));
    }
    ids.push_back(id);
  }
  if (ids.empty()) fail(ErrorKind::data, "{}: holds no sample numbers", path.string());
  return ids;
}

/// Given numbers, ascending; each must be one of the data set's, and stand there once.
std::vector<std::int32_t> checked(std::vector<std::int64_t> given, std::int64_t samples, const std::string& where) {
  std::ranges::sort(given);
  if (given.front() < 0 || given.back() >= samples) {
    fail(ErrorKind::config, "{}: the sample {} is not one of the dataset's {}, counted from 0", where,
         given.front() < 0 ? given.front() : given.back(), samples);
  }
  if (const auto twice = std::ranges::adjacent_find(given); twice != given.end())
    fail(ErrorKind::config, "{}: the sample {} is listed twice", where, *twice);
  return {given.begin(), given.end()};
}

}  // namespace

Schema<Subset> Subset::schema() {
  return Schema<Subset>(
             "Use a part of the dataset: first `ids` or a `range`, of that one side of a random split, of that the "
             "`first` ones.")
      .field("ids", &Subset::ids, at_least(0), "Sample numbers, counted from 0; all if left out.")
      .field("ids_file", &Subset::ids_file,
             "A text file of sample numbers, one a line, such as samples/train.txt of another run.")
      .field("range", &Subset::range, at_least(0), "Sample numbers [from, to); all if left out.")
      .field("fraction", &Subset::fraction, between(0.0, 1.0), "Share of the samples that is drawn at random.")
      .field("folds", &Subset::folds, between(0, 1000000),
             "Divides the samples into so many folds of equal size, one of which is drawn (k-fold cross-validation).")
      .field("fold", &Subset::fold, at_least(0), "Which fold is drawn, counted from 0; `train --fold` sets it.")
      .field("stratify", &Subset::stratify, non_empty(),
             "A field of classes, as a rule `target`: each part has its share of each class.")
      .field("group", &Subset::group, non_empty(),
             "A field such as a patient's number: samples of one value are drawn together or not at all.")
      .field("part", &Subset::part, "`first` takes the drawn samples, `rest` those that were not drawn.")
      .field(
          "seed", &Subset::seed, at_least(0),
          "Of the draw. Two subsets with the same seed and fraction or fold, one `first`, one `rest`, share no sample.")
      .field("first", &Subset::first, at_least(0), "At most so many samples; 0: all.")
      .example("{fraction: 0.9}")
      .example("{fraction: 0.9, part: rest}")
      .example("{folds: 5, fold: 0, part: rest, stratify: target}")
      .example("{range: [0, 50000]}");
}

void Subset::check(Diagnostics& diagnostics, const Node& node) const {
  if ((ids.empty() ? 0 : 1) + (ids_file ? 1 : 0) + (range.empty() ? 0 : 1) > 1)
    diagnostics.error(node, "give one of 'ids', 'ids_file' and 'range'.");
  if (folds == 1) diagnostics.error(node, "one fold is all of the data; give at least 2 folds.");
  if (folds == 0 && fold > 0) diagnostics.error(node, "'fold' needs 'folds', the number of them.");
  if (folds > 1 && fold >= folds)
    diagnostics.error(node, fmt::format("there is no fold {} of {}; they are counted from 0.", fold, folds));
  if (folds > 0 && fraction < 1.0)
    diagnostics.error(node, "'folds' and 'fraction' both draw samples; give one of them.");
  if (stratify && group) diagnostics.error(node, "'stratify' and 'group' cannot be combined.");
  if ((stratify || group) && folds == 0 && fraction == 1.0)
    diagnostics.error(node, "'stratify' and 'group' say how samples are drawn; give 'fraction' or 'folds' too.");
}

std::vector<std::int32_t> Subset::candidates(std::int64_t samples) const {
  if (!ids.empty()) return checked(ids, samples, "subset: ids");
  if (ids_file) return checked(read_ids(*ids_file), samples, ids_file->string());
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
  std::vector<std::int32_t> numbers(static_cast<std::size_t>(to - from));
  std::iota(numbers.begin(), numbers.end(), static_cast<std::int32_t>(from));
  return numbers;
}

// One side of the random split of `from`, ascending.
std::vector<std::int32_t> Subset::split(std::vector<std::int32_t> from, const FieldReader& read) const {
  std::optional<Column> values;
  if (stratify || group) {
    require(static_cast<bool>(read), "a split by a field needs its values");
    values = read(stratify ? *stratify : *group);
  }
  Partition partition(std::move(from), static_cast<std::uint64_t>(seed));
  if (stratify) partition.stratify(*values);
  if (group) partition.group(*values);
  std::vector<std::int32_t> drawn, left;
  partition.divide(folds > 0 ? partition.fold(folds, fold) : partition.share(fraction), drawn, left);
  std::vector<std::int32_t>& side = part == SubsetPart::first ? drawn : left;
  std::ranges::sort(side);
  return std::move(side);
}

std::vector<std::int32_t> Subset::select(std::int64_t samples, const FieldReader& read) const {
  std::vector<std::int32_t> chosen = candidates(samples);
  if (!(fraction >= 0.0 && fraction <= 1.0)) {
    fail(ErrorKind::config, "subset: fraction is {}; it must lie in [0, 1]", fraction);
  }
  if (folds > 0 || fraction < 1.0 || part == SubsetPart::rest) chosen = split(std::move(chosen), read);
  if (first > 0 && static_cast<std::size_t>(first) < chosen.size()) chosen.resize(static_cast<std::size_t>(first));
  if (chosen.empty()) {
    fail(ErrorKind::config, "subset: nothing is left of {} samples with fraction {}, part {}", samples, fraction,
         part == SubsetPart::first ? "first" : "rest");
  }
  return chosen;
}

std::string ids_text(std::string_view comment, const std::vector<std::int32_t>& ids) {
  std::string text = fmt::format("# {}\n", comment);
  for (const std::int32_t id : ids) text += fmt::format("{}\n", id);
  return text;
}

}  // namespace trainctl
