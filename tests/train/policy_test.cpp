// Policies that look at reports, their state, and what is refused in the spec of any policy.
#include <doctest/doctest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "schema/json_text.h"
#include "source_dir.h"
#include "train/policies.h"
#include "train/snapshot.h"

using namespace trainctl;
using test::make;
using test::ready;
using test::schedule;

namespace {

HistoryRecord report_of(double value, std::int64_t step = 1) {
  return {.epoch = 1, .step = step, .samples = 1, .values = {{"m", value}}, .seconds = {}};
}

}  // namespace

TEST_CASE("a plateau reduces as PyTorch's does, report by report, from any stop between two") {
  const auto golden = parse_json(read_file(test::source_dir() / "tests/golden/data/schedules.json"));
  CHECK(golden["plateaus"].size() >= 4);
  for (const auto& expected : golden["plateaus"]) {
    const std::string yaml = expected["policy"];
    CAPTURE(yaml);
    const double base = expected["base"];
    auto policy = ready(yaml, base);
    Requests requests;
    for (std::size_t i = 0; i < expected["reports"].size(); ++i) {
      CAPTURE(i);
      policy->report(report_of(expected["reports"][i]), requests);
      CHECK(policy->value(0, base, schedule) == doctest::Approx(expected["values"][i].get<double>()).epsilon(1e-9));
      auto resumed = ready(yaml, base);
      resumed->restore(policy->state());
      CHECK(resumed->value(0, base, schedule) == policy->value(0, base, schedule));
      policy = std::move(resumed);
    }
    CHECK_FALSE(requests.stop);
  }
}

TEST_CASE("the state of every policy that has one survives a checkpoint: the same bits after it at any report") {
  const char* stateful[] = {
      "{type: reduce_on_plateau, target: x, monitor: m, mode: min, patience: 1, factor: 0.7, cooldown: 1}",
      "{type: early_stopping, monitor: m, mode: min, patience: 4, min_delta: 0.01, baseline: 3}",
      "{type: stop_when, monitor: m, ratio: 1.7, patience: 2}",
      "{type: stop_when, monitor: m, ratio: 1.2, of: first}",
  };
  const double reports[] = {2.0, 1.9, 2.5, NAN, 1.0, 1.005, INFINITY, 1.1, 1.8, 1.9, 2.3, 2.5, 1.0, 1.0, 3.0, 4.0};
  const auto outcome = [](const Policy& policy, const Requests& requests) {
    HostState host;
    host.policies["p"] = policy.state();
    return host.to_json() + requests.stop_reason + fmt::format("{}", policy.value(0, 2.0, schedule));
  };
  for (const char* yaml : stateful) {
    CAPTURE(std::string(yaml));
    std::vector<std::string> straight;
    const auto policy = ready(yaml);
    Requests requests;
    for (const double value : reports) {
      policy->report(report_of(value), requests);
      straight.push_back(outcome(*policy, requests));
    }
    CHECK(straight.front() != straight.back());
    for (std::size_t stop = 1; stop < std::size(reports); ++stop) {
      CAPTURE(stop);
      auto running = ready(yaml);
      Requests asked;
      for (std::size_t i = 0; i < std::size(reports); ++i) {
        if (i == stop) {
          HostState host;
          host.policies["p"] = running->state();
          running = ready(yaml);
          running->restore(HostState::from_json(host.to_json(), "test").policies.at("p"));
        }
        running->report(report_of(reports[i]), asked);
        CHECK(outcome(*running, asked) == straight[i]);
      }
    }
  }
}

TEST_CASE("early stopping counts reports without improvement, and its state survives") {
  const auto policy = make("{type: early_stopping, monitor: m, mode: max, patience: 2, min_delta: 0.01}");
  Requests requests;
  const auto report = [&](Policy& p, double value) {
    p.report(report_of(value), requests);
    return requests.stop;
  };
  CHECK_FALSE(report(*policy, 0.5));
  CHECK_FALSE(report(*policy, 0.505));  // better, but by less than min_delta
  const auto resumed = make("{type: early_stopping, monitor: m, mode: max, patience: 2, min_delta: 0.01}");
  resumed->restore(policy->state());
  CHECK(report(*resumed, 0.509));
  CHECK(requests.stop_reason.find("m has not improved on 0.5 for 2 reports") != std::string::npos);
  requests = {};
  CHECK_FALSE(report(*policy, 0.52));  // the other one goes on from its own state
  CHECK_FALSE(report(*policy, NAN));
  CHECK(report(*policy, NAN));
}

TEST_CASE(
    "early stopping: a baseline is to be beaten, reports before `after` do not count, rtol is a share of the best") {
  const auto reports_until_stop = [](const char* yaml, std::vector<double> values) {
    const auto policy = ready(yaml);
    Requests requests;
    int count = 0;
    for (const double value : values) {
      policy->report(report_of(value, ++count), requests);
      if (requests.stop) return count;
    }
    return 0;
  };
  CHECK(reports_until_stop("{type: early_stopping, monitor: m, mode: min, patience: 2, baseline: 1}", {3, 2, 0.5}) ==
        2);
  CHECK(reports_until_stop("{type: early_stopping, monitor: m, mode: min, patience: 2, baseline: 1}", {3, 0.5, 2}) ==
        0);
  CHECK(reports_until_stop("{type: early_stopping, monitor: m, mode: min, patience: 2}", {3, 4, 5}) == 3);
  CHECK(reports_until_stop("{type: early_stopping, monitor: m, mode: min, patience: 2, after: 3 steps}",
                           {1, 2, 3, 4, 5}) == 5);
  CHECK(reports_until_stop("{type: early_stopping, monitor: m, mode: min, patience: 2, rtol: 0.1}", {10, 9.5, 9.2}) ==
        3);
  CHECK(reports_until_stop("{type: early_stopping, monitor: m, mode: max, patience: 2, rtol: 0.1}",
                           {-10, -9.5, -8.9, -8.9}) == 0);
  // A value that was infinite improves as soon as it is finite.
  CHECK(reports_until_stop("{type: early_stopping, monitor: m, mode: min, patience: 1, rtol: 0.1}", {INFINITY, 9}) ==
        0);
}

TEST_CASE("stop_when: below, above, exploding, not finite; the first report has nothing to explode against") {
  const auto stops_at = [](const std::string& how, std::vector<double> values) {
    const auto policy = ready("{type: stop_when, monitor: m, " + how + "}");
    Requests requests;
    int count = 0;
    for (const double value : values) {
      policy->report(report_of(value, ++count), requests);
      if (requests.stop) return fmt::format("{}: {}", count, requests.stop_reason);
    }
    return std::string("never");
  };
  CHECK(stops_at("below: 1e-5", {1, 1e-5, 9e-6}) == "3: stop_when: m is 9e-06, below 1e-05");
  CHECK(stops_at("above: 2", {1, 2, 2.5}) == "3: stop_when: m is 2.5, above 2");
  CHECK(stops_at("ratio: 3", {100, 299, 50, 149, 151}) ==
        "5: stop_when: m is 151, more than 3 times its lowest value 50");
  CHECK(stops_at("ratio: 3, of: first", {100, 50, 151, 299, 301}).starts_with("5:"));
  CHECK(stops_at("ratio: 3", {1e9}) == "never");
  CHECK(stops_at("ratio: 3", {NAN, INFINITY, 4, 8, 13}).starts_with("5:"));
  CHECK(stops_at("ratio: 3", {0, 5, 1e9}) == "never");  // nothing is a multiple of zero
  CHECK(stops_at("ratio: 3", {-1, -2, 5}) == "never");
  CHECK(stops_at("not_finite: true", {1, NAN}).starts_with("2: stop_when: m is nan"));
  CHECK(stops_at("above: 2", {NAN, NAN}) == "never");
  CHECK(stops_at("below: 0.5, patience: 2, after: 3 steps", {0.1, 0.1, 0.1, 0.6, 0.1, 0.1, 0.1}).starts_with("6:"));
  CHECK(stops_at("below: 0.5, above: 2", {1, 3}).starts_with("2:"));
}

TEST_CASE("a report without the monitored value does not count") {
  for (const char* type : {"early_stopping, mode: min, patience: 1", "stop_when, below: 1, ratio: 2"}) {
    const auto policy = ready(fmt::format("{{monitor: val/loss, type: {}}}", type));
    Requests requests;
    for (int i = 0; i < 5; ++i) policy->report(report_of(0.1), requests);
    CHECK_FALSE(requests.stop);
  }
  const auto plateau = ready("{type: reduce_on_plateau, target: x, monitor: val/loss, mode: min, patience: 0}");
  Requests requests;
  for (int i = 0; i < 5; ++i) plateau->report(report_of(1.0), requests);
  CHECK(plateau->value(0, 2.0, schedule) == 2.0);
}

TEST_CASE("a policy says which direction is better; it is not guessed") {
  CHECK_THROWS_WITH(make("{type: early_stopping, monitor: val/loss}"), doctest::Contains("mode"));
  CHECK_THROWS_WITH(make("{type: reduce_on_plateau, target: x, monitor: val/loss}"), doctest::Contains("mode"));
  // A name says nothing: more of a "loss" may be better.
  const auto policy =
      ready("{type: reduce_on_plateau, target: x, monitor: val/loss, mode: max, patience: 0, factor: 0.5}");
  Requests requests;
  for (const double value : {1.0, 2.0, 3.0})
    policy->report({.epoch = 1, .step = 1, .samples = 1, .values = {{"val/loss", value}}, .seconds = {}}, requests);
  CHECK(policy->value(0, 2.0, schedule) == 2.0);
}

TEST_CASE("a plateau changes what the policies before it give, and its bound does not raise theirs") {
  const auto policy =
      ready("{type: reduce_on_plateau, target: x, monitor: m, mode: min, patience: 0, factor: 0.5, min: 0.4}");
  CHECK(policy->follows());
  CHECK_FALSE(make("{type: cosine, target: x}")->follows());
  Requests requests;
  for (int i = 0; i < 2; ++i) policy->report(report_of(1.0), requests);
  CHECK(policy->value(7, 1.6, schedule) == 0.8);
  CHECK(policy->value(7, 0.5, schedule) == 0.4);
  CHECK(policy->value(7, 0.1, schedule) == 0.1);
}

TEST_CASE("the first of several reasons to stop is the one that is told") {
  Requests requests;
  requests.ask_stop("one");
  requests.ask_stop("two");
  CHECK(requests.stop);
  CHECK(requests.stop_reason == "one");
}

TEST_CASE("what is wrong in a policy is told at its place, with advice") {
  struct Case {
    const char* yaml;
    int column;
    const char* message;
  };
  const Case cases[] = {
      {"{type: linear, end: 0}", 1, "'target' is missing"},
      {"{type: linear, target: x}", 1, "'end' is missing"},
      {"{type: constant, target: x, warmup: 1 epoch, warmup_type: constant}", 1, "warmup_factor"},
      {"{type: constant, target: x, warmup_factor: 2}", 44, "at most 1"},
      {"{type: exponential, target: x, multiplier: 0}", 44, "above 0"},
      {"{type: exponential, target: x, multiplier: 2, min: 3, max: 1}", 1, "swap them"},
      {"{type: exponential, target: x, multiplier: 2, every: 0 epochs}", 54, "more than nothing"},
      {"{type: step, target: x, every: 0 steps}", 32, "more than nothing"},
      {"{type: cosine_restarts, target: x, period: 0 steps}", 44, "more than nothing"},
      {"{type: cosine_restarts, target: x, period: 1 epoch, period_multiplier: 0}", 72, "at least 1"},
      {"{type: triangular, target: x, max: 1, step_size_up: 0 epochs}", 53, "more than nothing"},
      {"{type: one_cycle, target: x, pct_start: 1}", 41, "below 1"},
      {"{type: one_cycle, target: x, pct_start: 0.5, three_phase: true}", 1, "below 0.5"},
      {"{type: inverse_square_root, target: x}", 1, "timescale"},
      {"{type: multi_step, target: x, milestones: []}", 43, "empty"},
      {"{type: multi_step, target: x, milestones: [3 epochs, 9 epochs, 7 epochs]}", 64,
       "7 epochs does not come after 9 epochs"},
      {"{type: schedule, target: x, multipliers: {}}", 42, "empty"},
      {"{type: schedule, target: x, multipliers: {5: 0.1, 5 epochs: 2}}", 51, "must increase"},
      {"{type: schedule, target: x, multipliers: {-1: 0.1}}", 43, "expected an epoch"},
      {"{type: schedule, target: x, multipliers: {1: -0.1}}", 46, "at least 0"},
      {"{type: switch, target: x, values: {soon: 0.1}}", 36, "expected an epoch"},
      {"{type: switch, target: x, values: {1: high}}", 39, "expected a number"},
      {"{type: sequence, target: x, segments: []}", 39, "empty"},
      {"{type: sequence, target: x, segments: [constant, {type: cosine}]}", 40, "'over' is missing"},
      {"{type: sequence, target: x, segments: [{type: cosine, target: y}]}", 55, "remove this one"},
      {"{type: sequence, target: x, segments: [{type: early_stopping, monitor: m, mode: min}]}", 40, "cannot stand"},
      {"{type: sequence, target: x, segments: [{type: reduce_on_plateau, monitor: m, mode: min}]}", 40,
       "cannot stand in a sequence"},
      {"{type: sequence, target: x, segments: [{type: cosinus}]}", 47, "Did you mean 'cosine'?"},
      {"{type: reduce_on_plateau, target: x, monitor: m, mode: min, factor: 1}", 69, "below 1"},
      {"{type: reduce_on_plateau, target: x, monitor: m, mode: min, patience: -1}", 71, "at least 0"},
      {"{type: reduce_on_plateau, target: x, monitor: '', mode: min}", 47, "empty"},
      {"{type: early_stopping, monitor: m, mode: min, patience: 0}", 57, "at least 1"},
      {"{type: stop_when, monitor: m}", 1, "nothing to stop at"},
      {"{type: stop_when, monitor: m, above: 1, below: 2}", 1, "swap them"},
      {"{type: stop_when, monitor: m, ratio: 1}", 38, "above 1"},
  };
  for (const Case& wrong : cases) {
    CAPTURE(std::string(wrong.yaml));
    try {
      make(wrong.yaml);
      FAIL_CHECK("it was taken");
    } catch (const ConfigError& error) {
      INFO(error.what());
      REQUIRE(error.errors().size() == 1);
      CHECK(error.errors()[0].source.column == wrong.column);
      CHECK(error.errors()[0].message.find(wrong.message) != std::string::npos);
    }
  }
}

TEST_CASE("what does not fit the training is told before it begins") {
  const std::pair<const char*, const char*> cases[] = {
      {"{type: cosine, target: x, over: 2 epochs, warmup: 20 steps}", "more than the warm-up (20 steps)"},
      {"{type: linear, target: x, end: 1, over: 0 epochs}", "more than nothing"},
      {"{type: multi_step, target: x, milestones: [2 epochs, 15 steps]}", "15 steps does not come after 2 epochs"},
      {"{type: schedule, target: x, multipliers: {1: 2, 10 steps: 3}}", "10 steps does not come after 1 epoch"},
      {"{type: switch, target: x, values: {4: 2, 3000 samples: 3}}", "must increase"},
      {"{type: sequence, target: x, segments: [{type: constant, over: 1 epoch}, {type: cosine, over: 0 epochs}]}",
       "segments.1: 'over' must be more than nothing"},
      {"{type: reduce_on_plateau, target: x, monitor: m, mode: min, min: 3}", "'min' (3) is above the value of x (2)"},
  };
  for (const auto& misfit : cases) {
    CAPTURE(std::string(misfit.first));
    CHECK(make(misfit.first)->settle(2.0, schedule).find(misfit.second) != std::string::npos);
  }
}
