// Result packages: scikit-learn's numbers, and what happens where a measure is not defined.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "results/package.h"
#include "schema/json_text.h"
#include "schema/yaml.h"
#include "source_dir.h"

using namespace trainctl;

namespace {

Component<ResultPackage> make(const std::string& yaml) {
  Component<ResultPackage> package;
  Diagnostics diagnostics;
  package.read(parse_yaml_text(yaml), "", diagnostics);
  diagnostics.throw_if_any();
  return package;
}

Shape shape_of(const nlohmann::ordered_json& json) {
  Shape shape;
  for (const auto& extent : json) shape.push_back(extent.get<std::int64_t>());
  return shape;
}

/// Gives the samples `part` at a time.
Findings findings(const ResultPackage& package, const PredictionInfo& info, const std::vector<double>& outputs,
                  const std::vector<double>& targets, std::size_t part) {
  const auto tally = package.begin(info);
  const auto width = static_cast<std::size_t>(info.output.elements()),
             target_width = static_cast<std::size_t>(info.target.elements());
  const std::size_t samples = targets.size() / target_width;
  for (std::size_t i = 0; i < samples; i += part) {
    const std::size_t count = std::min(part, samples - i);
    tally->add({static_cast<std::int64_t>(count), std::span(outputs).subspan(i * width, count * width),
                std::span(targets).subspan(i * target_width, count * target_width)});
  }
  return tally->finish();
}

void same(double ours, const nlohmann::ordered_json& theirs) {
  if (theirs.is_null()) {
    CHECK(std::isnan(ours));
  } else {
    CHECK(std::abs(ours - theirs.get<double>()) <= 1e-6 * std::max(1.0, std::abs(theirs.get<double>())));
  }
}

const ResultTable& table(const Findings& found, const std::string& name) {
  const auto at = std::ranges::find(found.tables, name, &ResultTable::name);
  REQUIRE(at != found.tables.end());
  return *at;
}

}  // namespace

TEST_CASE("result packages tell what scikit-learn tells") {
  const auto golden = parse_json(read_file(test::source_dir() / "tests/golden/results.json"));
  for (const auto& one : golden["cases"]) {
    CAPTURE(one["package"].get<std::string>());
    CAPTURE(one["name"].get<std::string>());
    auto package = make(one["package"].get<std::string>());
    if (one["package"] == "classification") package = make("{type: classification, top_k: [2]}");
    const PredictionInfo info{.output = shape_of(one["output"]), .target = shape_of(one["target"])};
    const Findings found = findings(*package, info, one["outputs"].get<std::vector<double>>(),
                                    one["targets"].get<std::vector<double>>(), 7);
    for (const auto& [name, theirs] : one["values"].items()) {
      CAPTURE(name);
      same(found.value(name).value, theirs);
      CHECK(found.value(name).reason.empty() == !theirs.is_null());
    }
    for (const auto& [name, columns] : one["tables"].items()) {
      const ResultTable& own = table(found, name);
      for (const auto& [column, cells] : columns.items()) {
        CAPTURE(column);
        const auto at = static_cast<std::size_t>(std::ranges::find(own.columns, column) - own.columns.begin());
        REQUIRE(cells.size() == own.rows.size());
        for (std::size_t row = 0; row < cells.size(); ++row) same(own.cells[row * own.columns.size() + at], cells[row]);
      }
    }
    if (!one["confusion"].is_null())
      CHECK(table(found, "confusion").cells == one["confusion"].get<std::vector<double>>());
  }
}

TEST_CASE("a score that is not finite leaves every value undefined, and says why") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const struct {
    const char* package;
    PredictionInfo info;
    std::vector<double> outputs, targets;
  } cases[] = {{"classification", {{3}, {}}, {1, 2, 3, nan, 0, 0}, {2, 0}},
               {"binary", {{1}, {}}, {0.5, nan}, {1, 0}},
               {"regression", {{1}, {1}}, {0.5, nan}, {1, 0}},
               {"segmentation", {{2, 1, 1}, {1, 1}}, {1, 2, nan, 1}, {1, 0}}};
  for (const auto& one : cases) {
    CAPTURE(one.package);
    const Findings found = findings(*make(one.package), one.info, one.outputs, one.targets, 1);
    for (const auto& value : found.values) {
      CAPTURE(value.name);
      CHECK(std::isnan(value.value));
      CHECK(value.reason.find("not finite") != std::string::npos);
    }
  }
}

TEST_CASE("probabilities are taken as they are, and class names are the data's") {
  const PredictionInfo info{{2}, {}, true, {"cat", "dog"}};
  const Findings found = findings(*make("classification"), info, {0.25, 0.75, 0.5, 0.5}, {1, 1}, 2);
  CHECK(found.value("log_loss").value == doctest::Approx(-(std::log(0.75) + std::log(0.5)) / 2));
  CHECK(found.value("accuracy").value == 0.5);  // of equal scores the first wins
  CHECK(table(found, "classes").rows == std::vector<std::string>{"cat", "dog"});
}

TEST_CASE("predictions that do not fit are refused, with the package that does") {
  CHECK_THROWS_WITH_AS(make("classification")->begin({{1}, {}}), doctest::Contains("'binary' is for one score"), Error);
  const std::vector<double> outputs{1, 2}, targets{2};
  CHECK_THROWS_AS(make("classification")->begin({{2}, {}})->add({1, outputs, targets}), Error);
  CHECK_THROWS_AS(make("binary")->begin({{3}, {}}), Error);
  CHECK_THROWS_AS(make("regression")->begin({{3}, {2}}), Error);
  CHECK_THROWS_AS(make("segmentation")->begin({{3, 4, 4}, {}}), Error);
}
