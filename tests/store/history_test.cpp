#include "store/history.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>

#include "base/error.h"
#include "base/file.h"
#include "base/temp_folder.h"
#include "schema/json_text.h"
#include "store/sample_checkpoint.h"

using namespace trainctl;
using namespace trainctl::testing;

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();

History sample() {
  History history;
  history.records = {{1, 469, 60000, {{"train/loss", 0.1}, {"val/accuracy", 0.85}, {"lr", 1e-3}}, {{"train", 1.5}}},
                     {2, 938, 120000, {{"train/loss", 1.0 / 3}, {"val/accuracy", 0.9}, {"lr", 5e-324}}, {}},
                     {3,
                      1407,
                      180000,
                      {{"train/loss", not_a_number}, {"val/accuracy", 0.9}, {"up", infinity}, {"down", -infinity}},
                      {}}};
  history.best = {"val/accuracy", "max", 0.9, 2, 938};
  history.status = "finished";
  history.stop_reason = "no \"better\" for 5 epochs";
  return history;
}

}  // namespace

TEST_CASE("a history comes back as it was, numbers exactly and in order") {
  const TempFolder folder;
  sample().write(folder / "history.json");
  const History back = History::read(folder / "history.json");
  CHECK(back.to_json() == sample().to_json());
  REQUIRE(back.records.size() == 3);
  CHECK(back.records[0].values[0].first == "train/loss");
  CHECK(back.records[0].values[2].first == "lr");
  CHECK(back.records[1].values[0].second == 1.0 / 3);
  CHECK(back.records[1].values[2].second == 5e-324);
  CHECK(back.records[0].samples == 60000);
  CHECK(back.records[0].seconds[0].second == 1.5);
  CHECK(std::isnan(back.records[2].values[0].second));
  CHECK(*find_value(back.records[2].values, "up") == infinity);
  CHECK(*find_value(back.records[2].values, "down") == -infinity);
  CHECK_FALSE(find_value(back.records[2].values, "lr"));
  CHECK(back.best->value == 0.9);
  CHECK(back.status == "finished");
  CHECK(back.stop_reason == sample().stop_reason);
}

TEST_CASE("the file is what its format says") {
  const auto json = parse_json(sample().to_json());  // strict: NaN as a bare word would throw
  CHECK(json["format"] == "trainctl-history");
  CHECK(json["version"] == 1);
  CHECK(json["epochs"][0]["values"]["train/loss"] == 0.1);
  CHECK(json["epochs"][2]["values"]["train/loss"] == "NaN");
  CHECK(json["epochs"][2]["values"]["down"] == "-Infinity");
  CHECK(json["best"]["step"] == 938);
  CHECK(contains(sample().to_json(), "\"train/loss\": 0.1,"));
  CHECK(parse_json(History{}.to_json())["best"].empty());
  CHECK(History::from_json(History{}.to_json(), "x").best == std::nullopt);
}

TEST_CASE("cut back, it is the history of the run at that position") {
  History history = sample();
  history.cut_back(2, 938);
  REQUIRE(history.records.size() == 2);
  CHECK(history.best->step == 938);
  CHECK(history.status == "running");
  CHECK(history.stop_reason.empty());

  history.cut_back(2, 900);  // in the midst of the second epoch
  REQUIRE(history.records.size() == 1);
  CHECK(history.best->step == 469);
  CHECK(history.best->value == 0.85);
  history.cut_back(1, 0);
  CHECK(history.records.empty());
  CHECK_FALSE(history.best);
}

TEST_CASE("the best after a cut is the first of equals and never NaN") {
  History history;
  for (int i = 1; i <= 5; ++i)
    history.records.push_back({i, i * 10, 0, {{"loss", i == 1 ? not_a_number : i < 4 ? 2.0 : 3.0}}, {}});
  history.best = {"loss", "min", 1.0, 6, 60};
  history.cut_back(5, 50);
  CHECK(history.best->value == 2.0);
  CHECK(history.best->epoch == 2);
}

TEST_CASE("a damaged history is a data error that names the file") {
  const std::string good = sample().to_json();
  for (std::size_t size = 0; size + 1 < good.size(); size += 7) {
    CHECK(contains(data_error_of([&] { History::from_json(good.substr(0, size), "h.json"); }), "h.json: "));
  }
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string text = good;
    text.replace(text.find(from), from.size(), to);
    return data_error_of([&] { History::from_json(text, "h.json"); });
  };
  CHECK(contains(with("trainctl-history", "other"), "not a history"));
  CHECK(contains(with("\"version\": 1", "\"version\": 2"), "format version 2"));
  CHECK(contains(with("\"step\": 469", "\"step\": 4690"), "steps go back"));
  CHECK(!with("0.1", "\"much\"").empty());
  CHECK(!with("\"epochs\"", "\"eras\"").empty());
  CHECK(!with("\"max\"", "\"most\"").empty());
  const TempFolder folder;
  CHECK(!data_error_of([&] { History::read(folder / "none.json"); }).empty());
  CHECK(!data_error_of([] { History::from_json(std::string(1'000'000, '['), "deep"); }).empty());
}
