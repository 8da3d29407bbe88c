// Folds, stratified and grouped parts, and parts given by sample numbers.
#include <map>
#include <set>

#include "data/data_files.h"
#include "data/subset.h"

using namespace trainctl;
using namespace trainctl::testing;

namespace {

using Ids = std::vector<std::int32_t>;

Subset subset(const std::string& yaml) {
  return parse<Subset>(parse_yaml_text(yaml));
}

/// A reader of one i64 field; with classes or without.
FieldReader reader(std::vector<std::int64_t> values, std::int64_t classes) {
  return [values = std::move(values), classes](std::string_view name) {
    Column column{.field = {.name = std::string(name), .dtype = DType::i64, .classes = classes},
                  .storage = HostBytes(values.size() * sizeof(std::int64_t))};
    std::memcpy(column.data(), values.data(), column.storage.size());
    return column;
  };
}

std::vector<std::int64_t> made(int count, auto value) {
  std::vector<std::int64_t> values;
  for (int i = 0; i < count; ++i) values.push_back(value(i));
  return values;
}

/// Both sides of every fold; checks that the first parts are a partition and that first and rest are complements.
std::vector<Ids> all_folds(int folds, int samples, const std::string& rest, const FieldReader& read = {}) {
  std::vector<Ids> parts;
  Ids together;
  for (int fold = 0; fold < folds; ++fold) {
    const std::string yaml = fmt::format("{{folds: {}, fold: {}{}}}", folds, fold, rest);
    Subset side = subset(yaml);
    parts.push_back(side.select(samples, read));
    side.part = SubsetPart::rest;
    Ids both = side.select(samples, read);
    both.insert(both.end(), parts.back().begin(), parts.back().end());
    std::ranges::sort(both);
    CHECK(both.size() == static_cast<std::size_t>(samples));
    CHECK(std::ranges::adjacent_find(both) == both.end());
    CHECK(std::ranges::is_sorted(parts.back()));
    together.insert(together.end(), parts.back().begin(), parts.back().end());
  }
  std::ranges::sort(together);
  CHECK(together.size() == static_cast<std::size_t>(samples));
  CHECK(std::ranges::adjacent_find(together) == together.end());
  return parts;
}

std::string error(const std::string& yaml, int samples = 10, const FieldReader& read = {}) {
  return message_of(ErrorKind::config, [&] { subset(yaml).select(samples, read); });
}

}  // namespace

TEST_CASE("folds: disjoint, together complete, of equal size, by seed") {
  for (const auto& [folds, samples] : {std::pair{2, 2}, {3, 10}, {5, 1003}, {10, 10}}) {
    const std::vector<Ids> parts = all_folds(folds, samples, "");
    for (const Ids& part : parts) {
      CHECK(part.size() >= static_cast<std::size_t>(samples / folds));
      CHECK(part.size() <= static_cast<std::size_t>((samples + folds - 1) / folds));
    }
  }
  CHECK(all_folds(5, 100, ", seed: 1") != all_folds(5, 100, ", seed: 2"));
  CHECK(all_folds(5, 100, ", seed: 1") == all_folds(5, 100, ", seed: 1"));
}

TEST_CASE("stratified: each part has its share of each class") {
  const auto label = [](int i) { return std::int64_t{i % 50 == 0 ? 2 : i % 4 == 0}; };
  const FieldReader read = reader(made(1000, label), 3);  // 20 of class 2, 240 of class 1, 740 of class 0
  const auto histogram = [&](const Ids& ids) {
    std::map<std::int64_t, int> count;
    for (const std::int32_t id : ids) ++count[label(id)];
    return count;
  };
  for (const Ids& part : all_folds(5, 1000, ", stratify: target", read))
    CHECK(histogram(part) == std::map<std::int64_t, int>{{0, 148}, {1, 48}, {2, 4}});
  const Ids drawn = subset("{fraction: 0.3, stratify: target}").select(1000, read);
  CHECK(drawn.size() == 300);
  CHECK(histogram(drawn) == std::map<std::int64_t, int>{{0, 222}, {1, 72}, {2, 6}});
  CHECK(drawn != subset("{fraction: 0.3, stratify: target, seed: 1}").select(1000, read));
  const Ids rest = subset("{fraction: 0.3, stratify: target, part: rest}").select(1000, read);
  CHECK(rest.size() == 700);
}

TEST_CASE("grouped: what belongs together stays together, parts nearly equal") {
  const auto patient = [](int i) { return std::int64_t{1000 + (i * i) % 37}; };
  const FieldReader read = reader(made(500, patient), 0);
  std::set<std::int64_t> seen;
  std::size_t smallest = 500, largest = 0;
  for (const Ids& part : all_folds(4, 500, ", group: patient", read)) {
    std::set<std::int64_t> own;
    for (const std::int32_t id : part) own.insert(patient(id));
    for (const std::int64_t one : own) CHECK(seen.insert(one).second);
    smallest = std::min(smallest, part.size());
    largest = std::max(largest, part.size());
  }
  CHECK(largest - smallest < 40);  // a group has 13 to 28 samples
  const Ids drawn = subset("{fraction: 0.5, group: patient}").select(500, read);
  const Ids rest = subset("{fraction: 0.5, group: patient, part: rest}").select(500, read);
  CHECK(drawn.size() + rest.size() == 500);
  CHECK(drawn.size() > 225);
  CHECK(drawn.size() < 275);
  std::set<std::int64_t> own;
  for (const std::int32_t id : drawn) own.insert(patient(id));
  for (const std::int32_t id : rest) CHECK(!own.contains(patient(id)));
}

TEST_CASE("samples by number, from a list or a file that another run left") {
  CHECK(subset("{ids: [7, 0, 3]}").select(10) == Ids{0, 3, 7});
  CHECK(subset("{ids: [7, 0, 3], first: 2}").select(10) == Ids{0, 3});
  CHECK(subset("{ids: [1, 3, 5, 7], folds: 2, fold: 1}").select(10).size() == 2);
  const TempFolder folder;
  const auto from_file = [&](std::string_view text) {
    return subset(fmt::format("{{ids_file: {}}}", folder.write("ids.txt", text).string())).select(10);
  };
  CHECK(from_file("# comment\n 9\n\n2 # two\r\n4") == Ids{2, 4, 9});
  CHECK(from_file(ids_text("data.train", {1, 2, 5})) == Ids{1, 2, 5});
  const auto refused = [&](std::string_view text) { return message_of(ErrorKind::data, [&] { from_file(text); }); };
  CHECK(contains(refused("1\n2\nthree\n"), "ids.txt:3: 'three' is not a sample number"));
  CHECK(contains(refused("1\n-2\n"), "ids.txt:2: '-2'"));
  CHECK(contains(refused("# none\n"), "holds no sample numbers"));
  CHECK(contains(message_of(ErrorKind::config, [&] { from_file("10\n"); }),
                 "the sample 10 is not one of the dataset's 10"));
}

TEST_CASE("parts that cannot be are refused") {
  CHECK(contains(error("{folds: 11}"), "11 folds of 10 samples"));
  CHECK(contains(error("{folds: 3, group: g}", 10, reader(made(10, [](int i) { return std::int64_t{i % 2}; }), 0)),
                 "3 folds of 2 groups"));
  CHECK(contains(error("{folds: 3, stratify: t}", 10, reader(made(10, [](int) { return std::int64_t{0}; }), 0)),
                 "one class a sample"));
  CHECK(contains(error("{folds: 3, fold: 3}"), "there is no fold 3 of 3"));
  CHECK(contains(error("{folds: 1}"), "at least 2 folds"));
  CHECK(contains(error("{fold: 1}"), "needs 'folds'"));
  CHECK(contains(error("{folds: 3, fraction: 0.5}"), "give one of them"));
  CHECK(contains(error("{folds: 3, stratify: a, group: b}"), "cannot be combined"));
  CHECK(contains(error("{stratify: a}"), "give 'fraction' or 'folds' too"));
  CHECK(contains(error("{ids: [1], range: [0, 2]}"), "give one of"));
  CHECK(contains(error("{ids: [1, 1]}"), "the sample 1 is listed twice"));
  CHECK(contains(error("{ids: [10]}"), "the sample 10 is not one"));
}
