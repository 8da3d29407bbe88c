// What is taken from the training samples: as scikit-learn finds it, from them alone.
#include "train/fitted.h"
#include "schema/json_text.h"

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "graph/interpreter.h"
#include "source_dir.h"

using namespace trainctl;

namespace {

constexpr std::int64_t samples = 37;

template <typename T>
Table table_of(const Field& field, const std::vector<T>& values) {
  Column column{.field = field, .storage = HostBytes(values.size() * sizeof(T))};
  std::memcpy(column.data(), values.data(), values.size() * sizeof(T));
  std::vector<Column> columns;
  columns.push_back(std::move(column));
  return {static_cast<std::int64_t>(values.size()) / field.shape.elements(), std::move(columns)};
}

/// The table of tests/golden/make_standardize.py.
Table golden_table() {
  std::vector<float> values;
  for (int i = 0; i < samples; ++i) {
    const auto draw = [&](int c) { return (i * 7919 + c * 104729) % 1000; };
    values.insert(values.end(), {static_cast<float>(draw(0) / 8.0), static_cast<float>(1e6 + draw(1) / 16.0), 0.1F,
                                 12345.678F, static_cast<float>(draw(4) / std::pow(2.0, 40))});
  }
  return table_of({.name = "input", .shape = {5}}, values);
}

std::vector<std::int32_t> every_but_third() {
  std::vector<std::int32_t> ids;
  for (std::int32_t i = 0; i < samples; ++i)
    if (i % 3) ids.push_back(i);
  return ids;
}

}  // namespace

TEST_CASE("means and deviations are those of StandardScaler, of the given samples alone") {
  const auto golden = parse_json(read_file(test::source_dir() / "tests/golden/standardize.json"));
  const std::vector<std::int32_t> ids = every_but_third();
  const Moments moments = fit_moments(golden_table(), "input", ids, Per::channel);
  REQUIRE(moments.mean.size() == 5);
  for (std::size_t c = 0; c < 5; ++c) {
    CAPTURE(c);
    CHECK(moments.mean[c] == doctest::Approx(golden["mean"][c].get<double>()).epsilon(1e-12));
    CHECK(moments.std[c] == doctest::Approx(golden["std"][c].get<double>()).epsilon(1e-12));
  }
  CHECK(moments.std[2] == 1.0);
  CHECK(moments.std[3] == 1.0);
}

TEST_CASE("images have moments by channel, by element, or all together; bytes count as x / 255") {
  std::vector<std::uint8_t> bytes;
  for (int i = 0; i < 4 * 2 * 3; ++i) bytes.push_back(static_cast<std::uint8_t>(i * i % 251));
  const Table table = table_of({.name = "input", .dtype = DType::u8, .shape = {2, 1, 3}}, bytes);
  const std::vector<std::int32_t> ids{0, 2, 3};
  const auto expect = [&](Per per, std::size_t count, auto belongs) {
    const Moments moments = fit_moments(table, "input", ids, per);
    REQUIRE(moments.mean.size() == count);
    for (std::size_t c = 0; c < count; ++c) {
      double sum = 0, squares = 0, n = 0;
      for (const std::int32_t id : ids)
        for (std::size_t e = 0; e < 6; ++e)
          if (belongs(e) == c) sum += bytes[id * 6 + e] / 255.0, n += 1;
      for (const std::int32_t id : ids)
        for (std::size_t e = 0; e < 6; ++e)
          if (belongs(e) == c) squares += std::pow(bytes[id * 6 + e] / 255.0 - sum / n, 2);
      CHECK(moments.mean[c] == doctest::Approx(sum / n).epsilon(1e-12));
      CHECK(moments.std[c] == doctest::Approx(std::sqrt(squares / n)).epsilon(1e-12));
    }
  };
  expect(Per::channel, 2, [](std::size_t e) { return e / 3; });
  expect(Per::element, 6, [](std::size_t e) { return e; });
  expect(Per::all, 1, [](std::size_t) { return std::size_t{0}; });
}

TEST_CASE("a number that is not finite is named") {
  const Table table = table_of<float>({.name = "input", .shape = {2}}, {1, 2, 3, INFINITY});
  const std::vector<std::int32_t> ids{0, 1};
  CHECK_THROWS_WITH_AS(fit_moments(table, "input", ids, Per::channel), doctest::Contains("number 1"), Error);
}

TEST_CASE("standardize and unstandardize undo each other, by channel, by element and for many numbers") {
  for (const std::size_t numbers : {1U, 3U, 12U, 300U}) {
    const Shape shape = numbers == 300 ? Shape{2, 300} : Shape{2, 3, 4};
    StateSpec state;
    BuildContext context;
    Graph graph(state);
    Builder builder(graph, context, false);
    Moments moments;
    for (std::size_t i = 0; i < numbers; ++i) {
      moments.mean.push_back(100.0 + static_cast<double>(i));
      moments.std.push_back(0.5 + static_cast<double>(i % 7));
    }
    const Value x = graph.input("x", {DType::f32, shape});
    const Value y = standardize(builder, "input", x, moments);
    graph.output("y", y);
    graph.output("x again", unstandardize(builder, "input", y, moments));
    Bindings bindings;
    RefTensor given(shape);
    for (std::int64_t i = 0; i < given.size(); ++i) given[i] = 100.0 + static_cast<double>(i % 11);
    bindings.inputs["x"] = given;
    const Interpretation results = interpret(graph, bindings);
    const std::int64_t inner = numbers == 3 ? 4 : 1;
    for (std::int64_t i = 0; i < given.size(); ++i) {
      const auto c = static_cast<std::size_t>(i / inner) % numbers;
      CHECK(results.outputs.at("y")[i] == doctest::Approx((given[i] - moments.mean[c]) / moments.std[c]));
      CHECK(results.outputs.at("x again")[i] == doctest::Approx(given[i]));
    }
  }
}

TEST_CASE("classes are counted among the given samples, and one without any is named") {
  const Field field{.name = "target", .dtype = DType::i64, .classes = 3, .class_names = {"ant", "bee", "cat"}};
  Column labels{.field = field, .storage = HostBytes(6 * sizeof(std::int64_t))};
  const std::int64_t numbers[] = {0, 1, 2, 0, 1, 0};
  std::memcpy(labels.data(), numbers, sizeof numbers);
  CHECK(count_classes(labels, std::vector<std::int32_t>{0, 1, 2, 3}) == std::vector<std::int64_t>{2, 1, 1});
  CHECK_THROWS_WITH_AS(count_classes(labels, std::vector<std::int32_t>{0, 1, 3}),
                       doctest::Contains("none of class 2 ('cat')"), Error);
}
