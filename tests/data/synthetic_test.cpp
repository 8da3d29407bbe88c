#include <cmath>

#include "data/data_files.h"

using namespace trainctl;
using namespace trainctl::testing;

namespace {

// Index of the class mean nearest to a sample.
template <typename T>
std::size_t nearest_mean(const T* sample, const std::vector<double>& means, std::size_t classes, std::size_t width) {
  std::size_t best = 0;
  double best_distance = INFINITY;
  for (std::size_t c = 0; c < classes; ++c) {
    double distance = 0.0;
    for (std::size_t k = 0; k < width; ++k) distance += std::pow(sample[k] - means[c * width + k], 2);
    if (distance < best_distance) best = c, best_distance = distance;
  }
  return best;
}

// Share of test samples that the class means of the training samples tell right.
template <typename T>
double accuracy_of_means(const Table& train, const Table& test) {
  const Field& target = train.info().field("target");
  const auto classes = static_cast<std::size_t>(target.classes);
  const auto width = static_cast<std::size_t>(train.info().field("input").shape.elements());
  std::vector<double> means(classes * width);
  std::vector<double> count(classes);
  const auto* labels = train.column("target").as<std::int64_t>();
  for (std::int64_t i = 0; i < train.samples(); ++i) {
    const auto c = static_cast<std::size_t>(labels[i]);
    count[c] += 1;
    for (std::size_t k = 0; k < width; ++k) means[c * width + k] += train.column("input").as<T>()[i * width + k];
  }
  for (std::size_t i = 0; i < means.size(); ++i) means[i] /= count[i / width];
  int right = 0;
  for (std::int64_t i = 0; i < test.samples(); ++i) {
    const auto guess = nearest_mean(test.column("input").as<T>() + i * width, means, classes, width);
    right += guess == static_cast<std::size_t>(test.column("target").as<std::int64_t>()[i]);
  }
  return static_cast<double>(right) / static_cast<double>(test.samples());
}

}  // namespace

TEST_CASE("synthetic: the seed and nothing else decides, and load keeps what describe says") {
  for (const char* task : {"classification", "regression", "images", "segmentation"}) {
    const auto make = [&](std::string_view rest) {
      return dataset(fmt::format("{{type: synthetic, task: {}, samples: 50, shape: [2, 3, 4]{}}}", task, rest));
    };
    const auto component = make("");
    const Table table = component->load();
    const DatasetInfo info = component->describe();
    CHECK(info.samples == 50);
    REQUIRE(info.fields.size() == table.info().fields.size());
    for (std::size_t i = 0; i < info.fields.size(); ++i) {
      CHECK(info.fields[i].dtype == table.info().fields[i].dtype);
      CHECK(info.fields[i].shape == table.info().fields[i].shape);
      CHECK(info.fields[i].classes == table.info().fields[i].classes);
    }
    CHECK(info.field("input").shape == Shape{2, 3, 4});
    CHECK(table.digest() == make("")->load().digest());
    CHECK(table.digest() != make(", seed: 1")->load().digest());
  }
}

TEST_CASE("synthetic: classes can be learned, on new samples too") {
  const Table train = dataset("{type: synthetic, samples: 2000}")->load();
  const Table test = dataset("{type: synthetic, samples: 500, first: 2000}")->load();
  CHECK(accuracy_of_means<float>(train, test) > 0.95);
  const std::string images = "type: synthetic, task: images, shape: [1, 8, 8]";
  const Table train_images = dataset("{" + images + ", samples: 2000}")->load();
  const Table test_images = dataset("{" + images + ", samples: 500, first: 2000}")->load();
  CHECK(accuracy_of_means<std::uint8_t>(train_images, test_images) > 0.95);
  const Table other_seed = dataset("{type: synthetic, samples: 500, seed: 7}")->load();
  CHECK(accuracy_of_means<float>(train, other_seed) < 0.5);
}

TEST_CASE("synthetic: a pixel's brightness is that of its class, and discs lie on a ground of class 0") {
  const Table table =
      dataset("{type: synthetic, task: segmentation, samples: 40, shape: [2, 9, 7], classes: 3, noise: 0, seed: 2}")
          ->load();
  const Column& target = table.column("target");
  CHECK(target.field.shape == Shape{9, 7});
  const auto* x = table.column("input").as<std::uint8_t>();
  const auto* y = target.as<std::int64_t>();
  std::vector<int> level(6, -1), pixels(3);
  int others = 0;
  for (int i = 0; i < 40 * 63; ++i) {
    ++pixels[y[i]];
    for (int c = 0; c < 2; ++c) {
      const int value = x[(i / 63 * 2 + c) * 63 + i % 63];
      int& known = level[y[i] * 2 + c];
      if (known < 0) known = value;
      others += known != value;
    }
  }
  CHECK(others == 0);
  CHECK(pixels[0] > pixels[1]);
  CHECK(std::min(pixels[1], pixels[2]) > 40);
  CHECK(level[0] != level[2]);
}

TEST_CASE("synthetic: `first` continues the same samples") {
  const Table all = dataset("{type: synthetic, samples: 30}")->load();
  const Table tail = dataset("{type: synthetic, samples: 10, first: 20}")->load();
  CHECK(std::memcmp(all.column("input").as<float>() + 20 * 16, tail.column("input").as<float>(), 10 * 16 * 4) == 0);
}

TEST_CASE("synthetic: regression is a linear map, and inputs are standard normal") {
  const Table table = dataset("{type: synthetic, task: regression, samples: 20000, shape: [2], noise: 0}")->load();
  const auto* x = table.column("input").as<float>();
  const auto* t = table.column("target").as<float>();
  double sum = 0.0;
  double squares = 0.0;
  for (int i = 0; i < 40000; ++i) sum += x[i], squares += x[i] * x[i];
  CHECK(std::abs(sum / 40000) < 0.03);
  CHECK(std::abs(squares / 40000 - 1.0) < 0.03);
  // Solve for the map from two samples; all others must follow it.
  const double det = x[0] * x[3] - x[1] * x[2];
  const double a = (t[0] * x[3] - t[1] * x[1]) / det;
  const double b = (t[1] * x[0] - t[0] * x[2]) / det;
  double worst = 0.0;
  for (int i = 0; i < 20000; ++i) worst = std::max(worst, std::abs(a * x[2 * i] + b * x[2 * i + 1] - t[i]));
  CHECK(worst < 1e-4);
}

TEST_CASE("synthetic: absurd sizes are refused before anything is allocated") {
  const auto message = [](const std::string& yaml) { return message_of(ErrorKind::config, [&] { dataset(yaml); }); };
  CHECK(contains(message("{type: synthetic, shape: [1000000, 1000000, 1000000]}"), "terabyte"));
  CHECK(contains(message("{type: synthetic, shape: [1, 1, 1, 1, 1, 1]}"), "6 axes"));
  CHECK(contains(message("{type: synthetic, samples: 0}"), "samples"));
  CHECK(contains(message("{type: synthetic, shape: [0]}"), "shape"));
  CHECK(contains(message("{type: synthetic, noise: -1}"), "noise"));
  CHECK(contains(message("{type: synthetic, task: segmentation}"), "(C, H, W)"));
}
