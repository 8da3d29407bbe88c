// What numbers of an output mean, and the files that say so.
#include "results/prediction_file.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/file.h"
#include "base/temp_folder.h"

using namespace trainctl;
using trainctl::testing::TempFolder;

namespace {

struct Judged {
  std::vector<float> probabilities;
  std::vector<std::int32_t> classes;
};

Judged judge(const PredictedOutput& output, const std::vector<float>& numbers) {
  const auto count = static_cast<std::int64_t>(numbers.size()) / output.shape.elements();
  Judged judged{std::vector<float>(numbers.size()),
                std::vector<std::int32_t>(static_cast<std::size_t>(count * output.class_shape().elements()))};
  probabilities_of(output, count, numbers.data(), judged.probabilities.data());
  classes_of(output, count, judged.probabilities.data(), judged.classes.data());
  return judged;
}

std::string csv_of(PredictedOutput output, const std::vector<float>& numbers, std::vector<std::string> files = {}) {
  const TempFolder folder;
  const auto count = static_cast<std::int64_t>(numbers.size()) / output.shape.elements();
  const auto file = PredictionFile::create(folder / "p.csv", {{std::move(output)}, count, std::move(files)});
  std::vector<std::int32_t> ids;
  for (std::int64_t i = 0; i < count; ++i) ids.push_back(static_cast<std::int32_t>(7 + i));
  file->add(std::vector<std::vector<float>>{numbers}, ids);
  file->finish();
  return read_file(folder / "p.csv");
}

constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN();

}  // namespace

TEST_CASE("probabilities: softmax over the first axis, also of large numbers and of many places") {
  const Judged two = judge({.shape = {2}, .link = Link::softmax}, {0, std::log(3.0f), 1e4f, -1e4f, 5, 5});
  CHECK(two.probabilities[0] == doctest::Approx(0.25));
  CHECK(two.probabilities[1] == doctest::Approx(0.75));
  CHECK(two.probabilities[2] == 1.0f);
  CHECK(two.classes == std::vector<std::int32_t>{1, 0, 0});  // of equal ones the first
  // Two classes at three places: numbers of one class lie side by side.
  const Judged places = judge({.shape = {2, 3}, .link = Link::softmax}, {1, 2, 3, 3, 2, 1});
  CHECK(places.classes == std::vector<std::int32_t>{1, 0, 0});
  CHECK(places.probabilities[0] + places.probabilities[3] == doctest::Approx(1.0));
  CHECK(places.probabilities[1] == doctest::Approx(0.5));
}

TEST_CASE("probabilities: logarithms, sigmoids, and what the model's output layer made already") {
  const Judged logs = judge({.shape = {2}, .link = Link::log_softmax}, {std::log(0.9f), std::log(0.1f)});
  CHECK(logs.probabilities[0] == doctest::Approx(0.9));
  const Judged yes = judge({.shape = {1}, .link = Link::sigmoid}, {0, -1, 200, -200});
  CHECK(yes.classes == std::vector<std::int32_t>{1, 0, 1, 0});
  CHECK(yes.probabilities[1] == doctest::Approx(0.26894142));
  const Judged made = judge({.shape = {2}, .link = Link::softmax, .probabilities = true}, {0.3f, 0.7f});
  CHECK(made.probabilities == std::vector<float>{0.3f, 0.7f});
  CHECK(made.classes == std::vector<std::int32_t>{1});
}

TEST_CASE("a number that is NaN has no class") {
  CHECK(judge({.shape = {3}, .link = Link::softmax}, {0, not_a_number, 1, 0, 1, 0}).classes ==
        std::vector<std::int32_t>{-1, 1});
  CHECK(judge({.shape = {}, .link = Link::sigmoid}, {not_a_number, 1}).classes == std::vector<std::int32_t>{-1, 1});
}

TEST_CASE("a table of predictions: names, quotes, shortest numbers that read back") {
  PredictedOutput kinds{
      .shape = {2}, .link = Link::softmax, .probabilities = true, .class_names = {"a,b", "say \"c\""}};
  CHECK(csv_of(kinds, {0.1f, 0.9f, not_a_number, 1}) ==
        "id,class,\"p_a,b\",\"p_say \"\"c\"\"\"\n7,\"say \"\"c\"\"\",0.1,0.9\n8,,nan,1\n");
  CHECK(csv_of({.shape = {2}, .columns = {"x", "y"}}, {1, 2.5f}, {"a b,c.png"}) == "file,x,y\n\"a b,c.png\",1,2.5\n");
  CHECK(csv_of({.name = "age", .shape = {1}}, {3}) == "id,age_output\n7,3\n");
  CHECK(csv_of({.shape = {2, 2}, .link = Link::softmax}, {1, 0, 0, 1}) == "id,class_0,class_1\n7,0,1\n");
  CHECK(csv_of({.shape = {2}, .link = Link::sigmoid, .probabilities = true}, {0.25f, 0.5f}) ==
        "id,class_0,class_1,probability_0,probability_1\n7,0,1,0.25,0.5\n");
}

TEST_CASE("what a file cannot hold is refused") {
  const TempFolder folder;
  for (const char* name : {"p", "p.npy", "p.csv.gz"}) {
    try {
      PredictionFile::create(folder / name, {{{.shape = {2}}}, 1});
      FAIL("taken");
    } catch (const Error& error) {
      CHECK(error.kind() == ErrorKind::usage);
    }
  }
  CHECK_THROWS_AS(PredictionFile::create(folder / "p.csv", {{{.shape = {20000}}}, 1}), Error);
  CHECK_NOTHROW(PredictionFile::create(folder / "p.H5", {{{.shape = {20000}}}, 1}));
  CHECK(std::filesystem::is_empty(folder.path()));
}
