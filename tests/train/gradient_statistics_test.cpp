// gradient_statistics against what an update of plain gradient descent shows of its gradients.
#include <doctest/doctest.h>

#include <cmath>
#include <map>

#include "schema/resolve.h"
#include "source_dir.h"
#include "train/session.h"

using namespace trainctl;

namespace {

constexpr double lr = 0.05;

/// An experiment of tests/golden whose gradients are looked at.
struct Look {
  ExperimentSpec spec;
  std::unique_ptr<Blueprint> blueprint;
  std::unique_ptr<Session> session;

  explicit Look(std::vector<std::string> set) {
    set.push_back(
        "policies={all: gradient_statistics, group: {type: gradient_statistics, per: group}, each: {type: "
        "gradient_statistics, per: parameter}}");
    set.push_back("optimizer={type: sgd, lr: 0.05, groups: {biases: {match: \"*.bias\"}}}");
    spec = parse<ExperimentSpec>(
        load_spec(test::source_dir() / "tests/golden/mlp_sgd.yaml", {.set = std::move(set), .unset = {}}));
    blueprint = std::make_unique<Blueprint>(spec, DataInfos{{"train", spec.data.train.dataset->describe()}});
    static const auto device = DeviceRegistry::instance().find("cpu")->open(1);
    session = std::make_unique<Session>(*device, *blueprint, std::vector<std::string>{"train"});
    session->initialise();
    session->set_epoch("train", 0);
  }
  std::map<std::string, std::vector<float>> weights() {
    std::map<std::string, std::vector<float>> all;
    const StateSpec& state = blueprint->state();
    for (int i = 0; i < state.size(); ++i) {
      if (!state[i].trainable) continue;
      std::vector<float>& values = all[state[i].name.substr(6)];
      values.resize(state[i].type.elements());
      session->state().read(i, values.data());
    }
    return all;
  }
  void run(Phase phase, std::int64_t samples, std::int64_t position, float weight) {
    session->scalars().set("position", position);
    session->scalars().set("batch_weight", weight);
    session->program({phase, "train", samples}).run();
  }
  /// What the policies add after an update.
  std::map<std::string, double> added(bool accumulated) {
    std::vector<double> values;
    for (const auto& [name, policy] : spec.policies) {
      policy->measure(session->state(), accumulated);
      for (const double value : policy->added()) values.push_back(value);
    }
    REQUIRE(values.size() == blueprint->added_names().size());
    std::map<std::string, double> named;
    for (std::size_t i = 0; i < values.size(); ++i) named[blueprint->added_names()[i]] = values[i];
    return named;
  }
};

/// The same from weights before and after an update by `step` times the gradient.
std::map<std::string, double> expected(const Look& look, const std::map<std::string, std::vector<float>>& before,
                                       const std::map<std::string, std::vector<float>>& after) {
  std::map<std::string, double> squares, largest;
  for (const auto& [name, old] : before) {
    const std::string group = name.ends_with(".bias") ? "/biases" : "/default";
    for (std::size_t i = 0; i < old.size(); ++i) {
      const double g = (static_cast<double>(old[i]) - after.at(name)[i]) / lr;
      for (const std::string& key : {std::string(), group, "/" + name}) {
        squares[key] += g * g;
        largest[key] = std::max(largest[key], std::abs(g));
      }
    }
  }
  std::map<std::string, double> values;
  for (const auto& [key, square] : squares) {
    values["gradient_norm" + key] = std::sqrt(square);
    values["gradient_max" + key] = largest[key];
  }
  CHECK(values.size() == look.blueprint->added_names().size());
  return values;
}

void compare(const std::map<std::string, double>& measured, const std::map<std::string, double>& wanted) {
  for (const auto& [name, value] : wanted) {
    CAPTURE(name);
    REQUIRE(measured.contains(name));
    CHECK(value > 0.0);
    CHECK(measured.at(name) == doctest::Approx(value).epsilon(1e-3));
  }
}

}  // namespace

TEST_CASE(
    "gradient statistics are those of the update: of all, by group and by parameter, of accumulated batches too") {
  Look whole({});
  const auto before = whole.weights();
  whole.run(Phase::whole, 32, 0, 1.0f);
  compare(whole.added(false), expected(whole, before, whole.weights()));

  Look parts({"trainer.accumulate=2", "data.train.batch_size=16"});
  const auto start = parts.weights();
  parts.run(Phase::begin, 16, 0, 0.5f);
  parts.run(Phase::finish, 16, 16, 0.5f);
  const auto measured = parts.added(true);
  compare(measured, expected(parts, start, parts.weights()));
  CHECK(measured.at("gradient_norm") == doctest::Approx(whole.added(false).at("gradient_norm")).epsilon(1e-5));
}

TEST_CASE("gradient statistics are of before clipping, and their state gives them back") {
  Look free({}), clipped({"trainer.clip_grad_norm=1e-3"});
  for (Look* look : {&free, &clipped}) look->run(Phase::whole, 32, 0, 1.0f);
  CHECK(free.added(false) == clipped.added(false));

  const Policy& policy = *free.spec.policies.find("each")->get();
  const auto& other = *clipped.spec.policies.find("each");
  clipped.run(Phase::whole, 32, 32, 1.0f);
  (void)clipped.added(false);
  CHECK(other->added() != policy.added());
  other->restore(policy.state());
  CHECK(other->added() == policy.added());
}
