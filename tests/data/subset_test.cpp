#include "data/subset.h"

#include "data/data_files.h"

using namespace trainctl;
using namespace trainctl::testing;

namespace {

std::vector<std::int32_t> numbers(int from, int to) {
  std::vector<std::int32_t> out;
  for (int i = from; i < to; ++i) out.push_back(i);
  return out;
}

Subset subset(const std::string& yaml) {
  return parse<Subset>(parse_yaml_text(yaml));
}

}  // namespace

TEST_CASE("both sides of a split are disjoint and together complete") {
  for (const int samples : {1, 2, 10, 999, 60000}) {
    for (const double fraction : {0.5, 0.9, 0.123}) {
      std::vector<std::int32_t> all;
      for (const SubsetPart part : {SubsetPart::first, SubsetPart::rest}) {
        const Subset side{.fraction = fraction, .part = part, .seed = 3};
        std::vector<std::int32_t> ids;
        try {
          ids = side.select(samples);
        } catch (const Error&) {
          CHECK(samples < 10);  // a side without samples
        }
        CHECK(std::ranges::is_sorted(ids));
        all.insert(all.end(), ids.begin(), ids.end());
      }
      std::ranges::sort(all);
      CHECK(all == numbers(0, samples));
    }
  }
}

TEST_CASE("a split has the asked-for size, and depends on its seed") {
  const auto a = Subset{.fraction = 0.9, .seed = 1}.select(1000);
  const auto b = Subset{.fraction = 0.9, .seed = 2}.select(1000);
  CHECK(a.size() == 900);
  CHECK(a == Subset{.fraction = 0.9, .seed = 1}.select(1000));
  CHECK(a != b);
  CHECK(a != numbers(0, 900));
}

TEST_CASE("range, split and first apply in this order") {
  CHECK(Subset{}.select(5) == numbers(0, 5));
  CHECK(Subset{.first = 3}.select(5) == numbers(0, 3));
  CHECK(Subset{.first = 30}.select(5) == numbers(0, 5));
  CHECK(subset("{range: [2, 4]}").select(5) == numbers(2, 4));
  CHECK(subset("{range: [2, 9], first: 3}").select(9) == numbers(2, 5));
  const auto part = subset("{range: [100, 200], fraction: 0.2, part: rest, seed: 4}").select(1000);
  CHECK(part.size() == 80);
  CHECK(part.front() >= 100);
  CHECK(part.back() < 200);
}

TEST_CASE("subsets that do not fit or leave nothing are refused") {
  const auto message = [](const std::string& yaml) {
    return message_of(ErrorKind::config, [&] { subset(yaml).select(10); });
  };
  CHECK(contains(message("{range: [5, 11]}"), "[5, 11) does not lie in the dataset's 10 samples"));
  CHECK(contains(message("{range: [5, 5]}"), "[5, 5)"));
  CHECK(contains(message("{range: [5]}"), "two numbers"));
  CHECK(contains(message("{part: rest}"), "nothing is left"));
  CHECK(contains(message("{fraction: 0}"), "nothing is left"));
  CHECK(contains(message("{fraction: 1.5}"), "fraction"));
  CHECK(contains(message("{part: second}"), "second"));
}
