// Trains the models of tests/golden and compares them with PyTorch's trajectories.
#include <doctest/doctest.h>
#include <zlib.h>

#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "cuda.h"
#include "schema/resolve.h"
#include "source_dir.h"
#include "train/session.h"

using namespace trainctl;

namespace {

const std::filesystem::path golden = test::source_dir() / "tests" / "golden";

/// Uniform in [0, 1) from a name and an index, as tests/golden/make_golden.py has it.
double mixed(std::uint32_t seed, std::uint32_t i) {
  std::uint32_t x = seed + i;
  x = (x ^ x >> 16) * 0x7FEB352Du;
  x = (x ^ x >> 15) * 0x846CA68Bu;
  return static_cast<double>(x ^ x >> 16) / 4294967296.0;
}

void set_weights(Session& session) {
  const StateSpec& spec = session.blueprint().state();
  for (int i = 0; i < spec.size(); ++i) {
    if (!spec[i].trainable) continue;
    const std::string name = spec[i].name.substr(spec[i].name.find('/') + 1);
    const auto seed = static_cast<std::uint32_t>(
        crc32(0, reinterpret_cast<const Bytef*>(name.data()), static_cast<uInt>(name.size())));
    const Shape& shape = spec[i].type.shape;
    std::vector<float> values(shape.elements());
    for (std::size_t k = 0; k < values.size(); ++k) {
      double u = 2.0 * mixed(seed, static_cast<std::uint32_t>(k)) - 1.0;
      u = shape.rank() > 1 ? u * std::sqrt(3.0 / static_cast<double>(shape.slice(1).elements()))
                           : u / 10.0 + (name.ends_with("weight") ? 1.0 : 0.0);
      values[k] = static_cast<float>(u);
    }
    session.state().write(i, values.data());
  }
}

/// Trains one golden case on the device and compares losses and parameters with PyTorch's.
void follow(const std::filesystem::path& config, Device& device) {
  const auto expected = nlohmann::json::parse(read_file(std::filesystem::path(config).replace_extension(".json")));
  ExperimentSpec spec = parse<ExperimentSpec>(load_spec(config));
  Blueprint blueprint(spec, {{"train", spec.data.train.dataset->describe()}});
  Session session(device, blueprint, {"train"});
  session.initialise();
  set_weights(session);
  session.set_epoch("train", 0);

  const std::int64_t batch = spec.data.train.batch_size;
  double sum = 0.0;
  for (std::int64_t step = 0; step < 200; ++step) {
    session.scalars().set("position", step * batch % 256);
    session.scalars().set("step", step);
    session.program({Phase::whole, "train", batch, 0, blueprint.stage_at(step)}).run();
    const double total = session.read_sums("train")[0];
    const double loss = (total - sum) / static_cast<double>(batch);
    sum = total;
    const double exact = expected["losses"][step];
    const double allowed =
        3.0 * expected["distance"][step].get<double>() + 3e-6;  // a dozen units in the last place of the loss itself
    INFO("step ", step);
    REQUIRE(std::abs(loss - exact) <= allowed);
  }

  for (const auto& [name, tensor] : expected["tensors"].items()) {
    const int state = blueprint.state().find("model/" + name);
    CAPTURE(name);
    REQUIRE(state >= 0);
    std::vector<float> values(blueprint.state()[state].type.elements());
    session.state().read(state, values.data());
    double total = 0.0, squares = 0.0;
    for (const float value : values) {
      total += value;
      squares += static_cast<double>(value) * value;
    }
    const double norm = tensor["norm"];
    const double allowed = 3.0 * tensor["distance"].get<double>() + 1e-6 * norm;
    CHECK(std::abs(std::sqrt(squares) - norm) <= allowed);
    CHECK(std::abs(total - tensor["sum"].get<double>()) <= allowed * std::sqrt(static_cast<double>(values.size())));
  }
}

void follow_all(Device& device) {
  int cases = 0;
  for (const auto& entry : std::filesystem::directory_iterator(golden)) {
    if (entry.path().extension() != ".yaml") continue;
    ++cases;
    SUBCASE(entry.path().stem().c_str()) {
      follow(entry.path(), device);
    }
  }
  CHECK(cases == 18);
}

}  // namespace

TEST_CASE("training follows PyTorch's trajectories (cpu)") {
  follow_all(*DeviceRegistry::instance().find("cpu")->open(2));
}

TEST_CASE("training follows PyTorch's trajectories (cuda)") {
  if (Device* device = test::cuda_device()) follow_all(*device);
}
