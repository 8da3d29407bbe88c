#include "report/history_table.h"
#include "base/text.h"

#include <doctest/doctest.h>

#include <algorithm>

#include <cmath>

#include "base/error.h"

using namespace trainctl;

namespace {

History sample(double offset = 0.0) {
  History history;
  history.records.push_back({1,
                             10,
                             100,
                             {{"train/loss", 1.5 + offset}, {"val/loss", 1.25}, {"lr", 0.1}},
                             {{"train", 2.0}, {"validate", 0.5}}});
  history.records.push_back({2, 20, 200, {{"train/loss", 0.1}, {"val/loss", NAN}, {"lr", 0.05}}, {{"train", 1.0}}});
  history.records.push_back({3, 30, 300, {{"train/loss", 0.75}, {"val/loss", 1.0}}, {{"train", 1.0}}});
  history.status = "finished";
  history.stop_reason = "reached trainer.max";
  return history;
}

std::vector<std::string> lines(const std::string& text) {
  std::vector<std::string> result{""};
  for (const char c : text) {
    if (c == '\n')
      result.emplace_back();
    else
      result.back() += c;
  }
  result.pop_back();
  return result;
}

}  // namespace

TEST_CASE("one run is a table with a line for each report") {
  History history = sample();
  history.best = HistoryBest{"val/loss", "min", 1.0, 3, 30};
  const auto text = lines(history_text(std::vector<NamedHistory>{{"run-1", history}}));
  REQUIRE(text.size() == 6);
  CHECK(text[0] == "epoch  step  train/loss  val/loss    lr  seconds");
  CHECK(text[1] == "    1    10         1.5      1.25   0.1      2.5");
  CHECK(text[2] == "    2    20         0.1       nan  0.05      1.0");
  CHECK(text[3] == "    3    30        0.75         1            1.0  best");
  CHECK(text[4] == "run-1: finished, reached trainer.max");
  CHECK(text[5] == "  best epoch 3 (step 30): val/loss 1, the lowest of all");
}

TEST_CASE("without a monitored value the extremes are shown, NaN left out") {
  const auto text = lines(history_text(std::vector<NamedHistory>{{"run-1", sample()}}));
  CHECK(text.back() == "  val/loss: lowest 1 at epoch 3, highest 1.25 at epoch 1");
}

TEST_CASE("series of several runs stand side by side, by epoch, or by step where there are reports within epochs") {
  History shorter = sample(0.25);
  shorter.records.pop_back();
  const std::vector<NamedHistory> runs{{"a", sample()}, {"b", shorter}};
  const auto text = lines(history_text(runs, {"train/loss"}));
  CHECK(text[0] == "epoch  a train/loss  b train/loss");
  CHECK(text[1] == "    1           1.5          1.75");
  CHECK(text[2] == "    2           0.1           0.1");
  CHECK(text[3] == "    3          0.75");
  shorter.records[1].epoch = 1;
  const auto within = lines(history_text(std::vector<NamedHistory>{{"a", sample()}, {"b", shorter}}, {"train/loss"}));
  CHECK(within[0] == "epoch  step  a train/loss  b train/loss");
  CHECK(within[1] == "    1    10           1.5          1.75");
}

TEST_CASE("of several runs each is a row: its best report, or its last") {
  History best = sample(0.25);
  best.best = HistoryBest{"val/loss", "min", 1.0, 2, 20};
  const std::vector<NamedHistory> runs{{"a", sample()}, {"b", best}, {"none", History{}}};
  const auto text = lines(history_text(runs));
  REQUIRE(text.size() == 4);
  const auto cells = [&](std::size_t row) { return split(text[row], ' '); };
  const auto holds = [&](std::size_t row, const std::string& cell) { return std::ranges::count(cells(row), cell) > 0; };
  CHECK((holds(1, "a") && holds(1, "last") && holds(1, "30") && holds(1, "0.75")));
  CHECK((holds(2, "b") && holds(2, "best") && holds(2, "20") && holds(2, "0.1")));
  CHECK(text[3].starts_with("none"));
}

TEST_CASE("a series that no run has is refused with the nearest name") {
  const std::vector<NamedHistory> runs{{"a", sample()}};
  CHECK_THROWS_WITH_AS(history_text(runs, {"val/los"}), doctest::Contains("val/loss"), Error);
  CHECK_THROWS_AS(history_csv(runs, {"nothing"}), Error);
}

TEST_CASE("CSV holds every number exactly and quotes names") {
  const auto text = lines(history_csv(std::vector<NamedHistory>{{"a,\"b\"", sample()}}));
  REQUIRE(text.size() == 4);
  CHECK(text[0] == "run,epoch,step,samples,train/loss,val/loss,lr,seconds\r");
  CHECK(text[1] == "\"a,\"\"b\"\"\",1,10,100,1.5,1.25,0.1,2.5\r");
  CHECK(text[2] == "\"a,\"\"b\"\"\",2,20,200,0.1,nan,0.05,1\r");
  CHECK(text[3] == "\"a,\"\"b\"\"\",3,30,300,0.75,1,,1\r");
}

TEST_CASE("series of one measure share a panel") {
  const auto panels = history_panels(std::vector<NamedHistory>{{"a", sample()}});
  REQUIRE(panels.size() == 2);
  CHECK(panels[0].y_label == "loss");
  CHECK(panels[0].x_label == "epoch");
  REQUIRE(panels[0].curves.size() == 2);
  CHECK(panels[0].curves[1].label == "val/loss");
  CHECK(panels[0].curves[1].points.size() == 3);
  CHECK(panels[1].curves[0].points.size() == 2);
}

TEST_CASE("reports within an epoch are drawn over steps") {
  History history = sample();
  history.records[1].epoch = 1;
  const auto panels = history_panels(std::vector<NamedHistory>{{"a", history}, {"b", sample()}});
  CHECK(panels[0].x_label == "step");
  CHECK(panels[0].curves[0].label == "a train/loss");
  CHECK(panels[0].curves[0].points[2].x == 30.0);
}
