#include "train/policy.h"

#include <doctest/doctest.h>

#include <cmath>
#include <numbers>

#include "schema/yaml.h"

using namespace trainctl;

namespace {

Component<Policy> make(const std::string& yaml) {
  Component<Policy> policy;
  Diagnostics diagnostics;
  policy.read(parse_yaml_text(yaml), "", diagnostics);
  diagnostics.throw_if_any();
  return policy;
}

const Schedule schedule{.steps_per_epoch = 10, .samples_per_epoch = 1000, .batch_samples = 100, .total_steps = 100};

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

TEST_CASE("cosine follows its formula at every step") {
  const auto policy = make("{type: cosine, target: optimizer.lr, warmup: 1 epoch, final: 0.1}");
  for (std::int64_t s = 0; s < 120; ++s) {
    const double expected =
        s < 10    ? 2.0 * static_cast<double>(s + 1) / 10.0
        : s < 100 ? 0.1 + 1.9 * 0.5 * (1.0 + std::cos(std::numbers::pi * static_cast<double>(s - 10) / 90.0))
                  : 0.1;
    CHECK(policy->value(s, 2.0, schedule) == doctest::Approx(expected).epsilon(1e-12));
  }
}

TEST_CASE("step decays at whole intervals") {
  const auto policy = make("{type: step, target: optimizer.lr, every: 30 steps, gamma: 0.5}");
  CHECK(policy->value(0, 1.0, schedule) == 1.0);
  CHECK(policy->value(29, 1.0, schedule) == 1.0);
  CHECK(policy->value(30, 1.0, schedule) == 0.5);
  CHECK(policy->value(89, 1.0, schedule) == 0.25);
  const auto warm = make("{type: step, target: optimizer.lr, every: 30 steps, gamma: 0.5, warmup: 4 steps}");
  CHECK(warm->value(0, 1.0, schedule) == 0.25);
  CHECK(warm->value(3, 1.0, schedule) == 1.0);
}

TEST_CASE("constant keeps its value after a warm-up") {
  const auto policy = make("{type: constant, target: optimizer.lr, value: 3, warmup: 2 steps}");
  CHECK(policy->value(0, 1.0, schedule) == 1.5);
  CHECK(policy->value(1, 1.0, schedule) == 3.0);
  CHECK(policy->value(50, 1.0, schedule) == 3.0);
  CHECK(make("{type: constant, target: optimizer.lr}")->value(5, 0.7, schedule) == 0.7);
}

TEST_CASE("early stopping counts reports without improvement, and its state survives") {
  const auto policy = make("{type: early_stopping, monitor: val/accuracy, mode: max, patience: 2, min_delta: 0.01}");
  Requests requests;
  const auto report = [&](Policy& p, double value) {
    p.report({.epoch = 1, .step = 1, .samples = 1, .values = {{"val/accuracy", value}}, .seconds = {}}, requests);
    return requests.stop;
  };
  CHECK_FALSE(report(*policy, 0.5));
  CHECK_FALSE(report(*policy, 0.505));  // better, but by less than min_delta
  const auto resumed = make("{type: early_stopping, monitor: val/accuracy, mode: max, patience: 2, min_delta: 0.01}");
  resumed->restore(policy->state());
  CHECK(report(*resumed, 0.509));
  CHECK(requests.stop_reason.find("val/accuracy") != std::string::npos);
  requests = {};
  CHECK_FALSE(report(*policy, 0.52));  // the other one goes on from its own state
  CHECK_FALSE(report(*policy, NAN));
  CHECK(report(*policy, NAN));
}

TEST_CASE("a report without the monitored value does not count") {
  const auto policy = make("{type: early_stopping, monitor: val/loss, mode: min, patience: 1}");
  Requests requests;
  for (int i = 0; i < 5; ++i)
    policy->report({.epoch = 1, .step = 1, .samples = 1, .values = {{"train/loss", 1.0}}, .seconds = {}}, requests);
  CHECK_FALSE(requests.stop);
}

TEST_CASE("a policy says which direction is better; it is not guessed") {
  CHECK_THROWS_WITH(make("{type: early_stopping, monitor: val/loss}"), doctest::Contains("mode"));
}
