// Layers and losses against PyTorch's numbers, tests/golden/layers.json.
#include <doctest/doctest.h>

#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "nn/fixture.h"
#include "ops/support.h"
#include "schema/json_text.h"
#include "source_dir.h"

using namespace trainctl;
using namespace trainctl::test;
using json = nlohmann::ordered_json;

namespace {

/// Uniform in [0, 1) from a seed and an index, as tests/golden/make_golden.py has it.
double mixed(std::uint32_t seed, std::uint32_t i) {
  std::uint32_t x = seed + i;
  x = (x ^ x >> 16) * 0x7FEB352Du;
  x = (x ^ x >> 15) * 0x846CA68Bu;
  return static_cast<double>(x ^ x >> 16) / 4294967296.0;
}

RefTensor mixed_numbers(std::uint32_t seed, const Shape& shape, double low = -1.0, double high = 1.0) {
  RefTensor tensor(shape);
  for (std::int64_t i = 0; i < tensor.size(); ++i)
    tensor[i] = low + (high - low) * mixed(seed, static_cast<std::uint32_t>(i));
  return tensor;
}

RefTensor mixed_classes(std::uint32_t seed, const Shape& shape, int count) {
  RefTensor tensor = mixed_numbers(seed, shape, 0.0, count);
  for (double& value : tensor.data) value = std::floor(value);
  return tensor;
}

Shape shape_of(const json& extents) {
  Shape shape;
  for (const std::int64_t extent : extents) shape.push_back(extent);
  return shape;
}

void compare(const RefTensor& got, const json& expected) {
  REQUIRE(static_cast<std::size_t>(got.size()) == expected.size());
  for (std::int64_t i = 0; i < got.size(); ++i) {
    CAPTURE(i);
    CHECK(std::fabs(got[i] - expected[i].get<double>()) <= 1e-7);
  }
}

constexpr std::uint32_t input_seed = 11, cotangent_seed = 12, target_seed = 13, parameter_seed = 100;

void check_layer(const json& c) {
  Bench bench;
  const auto layer = from_yaml<Component<Layer>>(c["layer"]);
  const Shape shape = shape_of(c["shape"]);
  const int integers = c["integers"];
  const Value x = bench.graph.input("x", {integers ? DType::i64 : DType::f32, shape});
  bench.bindings.inputs["x"] =
      integers ? mixed_classes(target_seed, shape, integers) : mixed_numbers(input_seed, shape);
  const Value y = build_child(bench.builder, layer, "layer", {x}).at(0);
  const Shape result = y.shape();
  REQUIRE(result == shape_of(c["output_shape"]));
  bench.bindings.inputs["cotangent"] = mixed_numbers(cotangent_seed, result);
  const Value objective = dot(bench.builder, y, bench.graph.input("cotangent", {DType::f32, result}));

  // PyTorch counts parameters in its own order.
  std::vector<std::string> names{"weight", "bias"};
  std::erase_if(names, [&](const std::string& name) { return !c["parameters"].contains(name); });
  REQUIRE(names.size() == c["parameters"].size());
  Values wanted{x};
  for (std::size_t k = 0; k < names.size(); ++k) {
    const int state = bench.state.find("model/layer." + names[k]);
    REQUIRE(state >= 0);
    const Shape parameter = shape_of(c["parameters"][names[k]]);
    REQUIRE(bench.state[state].type.shape == parameter);
    bench.bindings.state["model/layer." + names[k]] =
        mixed_numbers(parameter_seed + static_cast<std::uint32_t>(k), parameter);
    wanted.push_back(bench.graph.state(state));
  }
  if (integers) wanted.erase(wanted.begin());
  const Values gradients = bench.builder.gradients(objective, wanted);
  const Interpretation run = bench.run();
  compare(run.values.at(y.id()), c["output"]);
  if (!integers) compare(run.values.at(gradients[0].id()), c["gradients"]["input"]);
  for (std::size_t k = 0; k < names.size(); ++k) {
    CAPTURE(names[k]);
    compare(run.values.at(gradients[k + (integers ? 0 : 1)].id()), c["gradients"][names[k]]);
  }
}

void check_loss(const json& c) {
  Bench bench;
  const auto loss = from_yaml<Component<Loss>>(c["loss"]);
  const Shape shape = shape_of(c["shape"]);
  const Value x = bench.graph.input("x", {DType::f32, shape});
  bench.bindings.inputs["x"] = mixed_numbers(input_seed, shape, c["range"][0], c["range"][1]);
  Value target;
  if (c["target"].is_number()) {
    Shape places{shape[0]};
    for (int axis = 2; axis < shape.rank(); ++axis) places.push_back(shape[axis]);
    target = bench.graph.input("target", {DType::i64, places});
    bench.bindings.inputs["target"] = mixed_classes(target_seed, places, c["target"]);
  } else {
    target = bench.graph.input("target", {DType::f32, shape});
    bench.bindings.inputs["target"] = mixed_numbers(target_seed, shape, c["target"][0], c["target"][1]);
  }
  const Value mean = loss->build(bench.builder, x, target);
  const Value objective = loss->objective(bench.builder, mean, x, target, shape[0], false);
  const Values gradients = bench.builder.gradients(objective, std::vector<Value>{x});
  const Interpretation run = bench.run();
  CHECK(run.values.at(objective.id())[0] == doctest::Approx(c["value"].get<double>()).epsilon(1e-9));
  compare(run.values.at(gradients[0].id()), c["gradient"]);
}

}  // namespace

TEST_CASE("layers and losses give PyTorch's numbers and gradients") {
  const json golden = parse_json(read_file(source_dir() / "tests/golden/layers.json"));
  CHECK(golden["cases"].size() == 41);
  for (const json& c : golden["cases"]) {
    const bool is_layer = c.contains("layer");
    const std::string name = c[is_layer ? "layer" : "loss"].get<std::string>() + shape_of(c["shape"]).text();
    SUBCASE(name.c_str()) {
      is_layer ? check_layer(c) : check_loss(c);
    }
  }
}
