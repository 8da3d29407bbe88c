#include "data/data_files.h"

using namespace trainctl;
using namespace trainctl::testing;

namespace {

Component<Dataset> two(const std::string& a, const std::string& b) {
  return dataset(fmt::format("{{type: concat, datasets: [{}, {}]}}", a, b));
}

std::string error(const std::string& a, const std::string& b) {
  return message_of(ErrorKind::config, [&] { two(a, b)->describe(); });
}

}  // namespace

TEST_CASE("concat: the samples of one data set after those of another") {
  const auto whole = dataset("{type: synthetic, samples: 30, shape: [3]}")->load();
  const auto joined =
      two("{type: synthetic, samples: 10, shape: [3]}", "{type: synthetic, samples: 20, shape: [3], first: 10}");
  CHECK(joined->describe().samples == 30);
  CHECK(joined->load().digest() == whole.digest());
  const auto source = joined->open();
  CHECK(source->digest() == whole.digest());
  const std::vector<std::int32_t> ids{0, 9, 10, 29, 3, 3, 15};
  for (std::size_t field = 0; field < 2; ++field) {
    std::vector<std::byte> expected(ids.size() * whole.info().fields[field].sample_bytes()), read(expected.size());
    whole.read(field, ids, expected.data());
    source->read(field, ids, read.data());
    CHECK(read == expected);
  }
  const Column target = joined->load_field("target");
  for (std::size_t i = 0; i < 30; ++i)
    CHECK(target.as<std::int64_t>()[i] == whole.column("target").as<std::int64_t>()[i]);
}

TEST_CASE("concat: data sets that do not fit each other are refused, the field named") {
  const std::string base = "{type: synthetic, shape: [3]}";
  CHECK(
      contains(error(base, "{type: synthetic, shape: [4]}"), "the field 'input' is f32 (4) in datasets.1 and f32 (3)"));
  CHECK(contains(error(base, "{type: synthetic, shape: [3], task: regression}"), "the field 'target' is f32"));
  const TempFolder folder;
  const auto csv = [&](const char* name, const char* text, const char* rest = "") {
    return fmt::format("{{type: csv, path: {}{}}}", folder.write(name, text).string(), rest);
  };
  const std::string first = csv("a.csv", "v,y\n1,cat\n2,dog\n");
  CHECK(contains(error(first, csv("b.csv", "v,y\n1,ant\n2,dog\n")), "the classes of 'target' are named otherwise"));
  CHECK(contains(error(first, csv("c.csv", "v,y\n1,2\n", ", target: [], features: [v]")), "no field 'target'"));
  CHECK(contains(error(csv("d.csv", "v\n1\n", ", target: []"), first),
                 "datasets.1 has a field 'target' that datasets.0"));
  CHECK(two(csv("e.csv", "v,y\n1,4\n"), csv("f.csv", "v,y\n1,7\n"))->load().column("target").field.classes == 8);
  CHECK(contains(message_of(ErrorKind::config, [] { dataset("{type: concat, datasets: []}"); }), "datasets"));
}
