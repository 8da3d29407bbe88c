// Values that follow from progress: each schedule against its formula, written anew here, and against PyTorch's.
#include <doctest/doctest.h>

#include <cmath>
#include <functional>
#include <nlohmann/json.hpp>
#include <numbers>
#include <set>

#include "base/file.h"
#include "schema/json_text.h"
#include "source_dir.h"
#include "train/policies.h"

using namespace trainctl;
using test::ready;
using test::schedule;

namespace {

double half_cosine(double from, double to, double share) {
  return to + (from - to) * (1.0 + std::cos(std::numbers::pi * share)) / 2.0;
}

using Formula = std::function<double(int step, int epoch)>;
struct Curve {
  const char* type;
  const char* parameters;
  Formula expected;  ///< for a base of 2
};

const Curve curves[] = {
    {"constant", "", [](int, int) { return 2.0; }},
    {"constant", "value: 3, warmup: 4 steps", [](int s, int) { return s < 4 ? 3.0 * (s + 1) / 4 : 3.0; }},
    {"constant", "warmup: 2 epochs, warmup_type: constant, warmup_factor: 0.25",
     [](int s, int) { return s < 20 ? 0.5 : 2.0; }},
    {"constant", "warmup: 2 epochs, warmup_type: cosine, warmup_factor: 0.5",
     [](int s, int) { return s < 20 ? half_cosine(1.0, 2.0, (s + 1) / 20.0) : 2.0; }},
    {"constant", "warmup: 4 epochs, interval: epoch", [](int, int e) { return e < 4 ? 2.0 * (e + 1) / 4 : 2.0; }},
    {"linear", "end: 1, over: 5 epochs", [](int s, int) { return s < 50 ? 2.0 - s / 50.0 : 1.0; }},
    {"linear", "start: 4, end: 1, over: 4 epochs, interval: epoch",
     [](int, int e) { return e < 4 ? 4.0 - 0.75 * e : 1.0; }},
    {"linear", "end: 0, warmup: 1 epoch", [](int s, int) { return s < 10 ? 0.2 * (s + 1) : 2.0 * (100 - s) / 90.0; }},
    {"polynomial", "end: 0.5, power: 3, over: 60 steps",
     [](int s, int) { return s < 60 ? 0.5 + 1.5 * std::pow(1.0 - s / 60.0, 3) : 0.5; }},
    {"cosine", "warmup: 1 epoch, final: 0.1",
     [](int s, int) { return s < 10 ? 0.2 * (s + 1) : half_cosine(2.0, 0.1, (s - 10) / 90.0); }},
    {"cosine", "start: 1, over: 3 epochs, interval: epoch",
     [](int, int e) { return e < 3 ? half_cosine(1.0, 0.0, e / 3.0) : 0.0; }},
    {"cosine_restarts", "period: 1 epoch, period_multiplier: 2, decay: 0.5, final: 0.1, over: 70 steps",
     [](int s, int) {
       if (s >= 70) return 0.1;  // the third cycle ends, and no fourth begins
       const int begin = s < 10 ? 0 : s < 30 ? 10 : 30, length = s < 10 ? 10 : s < 30 ? 20 : 40;
       return half_cosine(2.0 * 10 / length, 0.1, double(s - begin) / length);
     }},
    {"cosine_restarts", "period: 25 steps, warmup: 5 steps, over: 80 steps",
     [](int s, int) {
       if (s < 5) return 0.4 * (s + 1);
       return s >= 80 ? 0.0 : half_cosine(2.0, 0.0, (s - 5) % 25 / 25.0);
     }},
    {"exponential", "multiplier: 0.5", [](int, int e) { return 2.0 * std::pow(0.5, e); }},
    {"exponential", "initial: 10, multiplier: 0.5, every: 3 epochs, min: 2",
     [](int, int e) { return std::max(2.0, 10.0 * std::pow(0.5, e / 3)); }},
    {"exponential", "multiplier: 1.5, every: 2 epochs, continuous: true, max: 5",
     [](int s, int) { return std::min(5.0, 2.0 * std::pow(1.5, s / 20.0)); }},
    {"exponential", "multiplier: 0.5, warmup: 1 epoch",
     [](int s, int e) { return s < 10 ? 0.2 * (s + 1) : 2.0 * std::pow(0.5, e - 1); }},
    {"exponential", "multiplier: 0.5, over: 3 epochs", [](int, int e) { return 2.0 * std::pow(0.5, std::min(e, 3)); }},
    {"step", "every: 30 steps, gamma: 0.5", [](int s, int) { return 2.0 * std::pow(0.5, s / 30); }},
    {"step", "every: 3 steps, gamma: 0.5, warmup: 4 steps",
     [](int s, int) { return s < 4 ? 0.5 * (s + 1) : 2.0 * std::pow(0.5, s / 3); }},
    {"multi_step", "milestones: [5 steps, 2 epochs, 7000 samples], gamma: 0.1",
     [](int s, int) {
       return 2.0 * (s < 5 ? 1.0 : s < 20 ? 0.1 : s < 70 ? 0.01 : 0.001);
     }},
    {"schedule", "multipliers: {1: 0.5, 4 epochs: 3, 65 steps: 0}",
     [](int s, int e) {
       return e < 1 ? 2.0 : e < 4 ? 1.0 : s < 65 ? 3.0 : 0.0;
     }},
    {"switch", "values: {2: 5, 5: -1}", [](int, int e) { return e < 2   ? 2.0
                                                                : e < 5 ? 5.0
                                                                        : -1.0; }},
    {"triangular", "max: 3, step_size_up: 10 steps, step_size_down: 30 steps",
     [](int s, int) { return 2.0 + (s % 40 < 10 ? s % 40 / 10.0 : (40 - s % 40) / 30.0); }},
    {"triangular", "min: 1, max: 3, step_size_up: 2 epochs, interval: epoch, gamma: 0.9",
     [](int, int e) { return 1.0 + 2.0 * (1.0 - std::abs(e % 4 - 2) / 2.0) * std::pow(0.9, e); }},
    {"triangular2", "min: 1, max: 3, step_size_up: 8 steps",
     [](int s, int) { return 1.0 + 2.0 * (1.0 - std::abs(s % 16 - 8) / 8.0) / (1 << s / 16); }},
    {"one_cycle", "pct_start: 0.2, div_factor: 4, final_div_factor: 10, anneal_strategy: linear",
     [](int s, int) { return s <= 19 ? 0.5 + 1.5 * s / 19 : 2.0 - 1.95 * (s - 19) / 80; }},
    {"one_cycle", "max: 1, pct_start: 0.3, div_factor: 10, final_div_factor: 100, three_phase: true",
     [](int s, int) {
       if (s <= 29) return half_cosine(0.1, 1.0, s / 29.0);
       return s <= 58 ? half_cosine(1.0, 0.1, (s - 29) / 29.0) : half_cosine(0.1, 0.001, (s - 58) / 41.0);
     }},
    {"inverse_square_root", "warmup: 16 steps",
     [](int s, int) { return s < 16 ? 2.0 * (s + 1) / 16 : 2.0 * std::sqrt(16.0 / s); }},
    {"inverse_square_root", "timescale: 1 epoch", [](int s, int) { return 2.0 / std::sqrt(1.0 + s / 10.0); }},
    {"sequence",
     "segments: [{type: linear, start: 0, end: 2, over: 1 epoch}, {type: constant, over: 25 steps}, {type: cosine, "
     "final: 1}]",
     [](int s, int) { return s < 10   ? 0.2 * s
                             : s < 35 ? 2.0
                                      : half_cosine(2.0, 1.0, (s - 35) / 65.0); }},
    {"sequence",
     "segments: [{type: step, every: 4 steps, gamma: 0.5, over: 12 steps}, {type: constant, value: 3, warmup: 6 steps, "
     "over: 18 steps}, {type: exponential, multiplier: 0.5, over: 3 epochs}]",
     [](int s, int) {
       if (s < 12) return 2.0 * std::pow(0.5, s / 4);
       return s < 30 ? std::min(3.0, 0.5 * (s - 11)) : 2.0 * std::pow(0.5, std::min(3, (s - 30) / 10));
     }},
};

}  // namespace

TEST_CASE("durations become steps") {
  CHECK(schedule.steps({3.0, Progress::Unit::epochs}) == 30);
  CHECK(schedule.steps({0.5, Progress::Unit::epochs}) == 5);
  CHECK(schedule.steps({7.0, Progress::Unit::steps}) == 7);
  CHECK(schedule.steps({1500.0, Progress::Unit::samples}) == 15);
  CHECK(schedule.steps({0.01, Progress::Unit::epochs}) == 1);
  CHECK(schedule.steps({0.0, Progress::Unit::epochs}) == 0);
  // A ragged epoch: 11 batches of 100 hold 1050 samples.
  const Schedule ragged{.steps_per_epoch = 11, .samples_per_epoch = 1050, .batch_samples = 100, .total_steps = 22};
  CHECK(ragged.steps({1050.0, Progress::Unit::samples}) == 11);
  CHECK(ragged.steps({1150.0, Progress::Unit::samples}) == 12);
}

TEST_CASE("every schedule follows its formula at every step, and stays finite after the end") {
  std::set<std::string> seen;
  for (const Curve& curve : curves) {
    const std::string separator = *curve.parameters ? ", " : "";
    const auto policy = ready(fmt::format("{{type: {}, target: x{}{}}}", curve.type, separator, curve.parameters));
    seen.insert(curve.type);
    CAPTURE(std::string(curve.type));
    CAPTURE(std::string(curve.parameters));
    for (int s = 0; s < 100; ++s) {
      CAPTURE(s);
      REQUIRE(policy->value(s, 2.0, schedule) == doctest::Approx(curve.expected(s, s / 10)).epsilon(1e-12).scale(0.01));
    }
    for (int s = 100; s < 130; ++s) CHECK(std::isfinite(policy->value(s, 2.0, schedule)));
    // What the resolved config says gives the same values again.
    const auto again = ready(to_yaml(policy.write()));
    for (int s = 0; s < 100; ++s) REQUIRE(again->value(s, 2.0, schedule) == policy->value(s, 2.0, schedule));
  }
  for (const ComponentInfo* info : Registry<Policy>::kind().components()) {
    if (info->object().find("target") && info->name != "reduce_on_plateau")
      CHECK_MESSAGE(seen.contains(info->name), info->name, " has no formula here");
  }
}

TEST_CASE("constant, cosine and step have the very bits of their formulas, on which runs of earlier versions go on") {
  const auto constant = ready("{type: constant, target: x, warmup: 1 epoch}");
  const auto cosine = ready("{type: cosine, target: x, warmup: 1 epoch, final: 0.1}");
  const auto step = ready("{type: step, target: x, every: 3 steps, gamma: 0.7, warmup: 1 epoch}");
  for (const double base : {2.0, 0.003, 0.7}) {
    for (int s = 0; s < 100; ++s) {
      const double rise = base * static_cast<double>(s + 1) / 10.0, share = static_cast<double>(s - 10) / 90.0;
      CHECK(constant->value(s, base, schedule) == (s < 10 ? rise : base));
      CHECK(cosine->value(s, base, schedule) ==
            (s < 10 ? rise : 0.1 + (base - 0.1) * 0.5 * (1.0 + std::cos(std::numbers::pi * share))));
      CHECK(step->value(s, base, schedule) == (s < 10 ? rise : base * std::pow(0.7, static_cast<double>(s / 3))));
    }
  }
}

TEST_CASE("schedules equal PyTorch's") {
  const auto golden = parse_json(read_file(test::source_dir() / "tests/golden/data/schedules.json"));
  REQUIRE(golden["steps_per_epoch"] == schedule.steps_per_epoch);
  CHECK(golden["schedules"].size() >= 25);
  for (const auto& expected : golden["schedules"]) {
    const std::string yaml = expected["policy"];
    CAPTURE(yaml);
    const double base = expected["base"];
    const auto policy = ready(yaml, base);
    REQUIRE(expected["values"].size() == 100);
    for (int s = 0; s < 100; ++s) {
      CAPTURE(s);
      REQUIRE(policy->value(s, base, schedule) ==
              doctest::Approx(expected["values"][s].get<double>()).epsilon(1e-9).scale(1e-3));
    }
  }
}
