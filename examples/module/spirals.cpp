#include <cmath>
#include <numbers>

#include "base/philox.h"
#include "data/dataset.h"
#include "schema/schema.h"

namespace {

using namespace trainctl;

/// Points on the arms of a spiral, an arm for each class, the same for a seed on every run:
///   r = u,   angle = 2 pi (arm / classes + turns u) + noise v,   x = (r cos angle, r sin angle)
/// with u uniform in [0, 1) and v in [-1/2, 1/2). Fields: input f32 (2), target i64 ().
struct Spirals final : Dataset {
  std::int64_t samples = 1000;
  std::int64_t classes = 3;
  double turns = 0.75;
  double noise = 0.3;
  std::int64_t seed = 0;

  static Schema<Spirals> schema() {
    return Schema<Spirals>("Points on the arms of a spiral, one arm for each class.")
        .field("samples", &Spirals::samples, between(1, 2147483647), "Number of samples.")
        .field("classes", &Spirals::classes, between(2, 1000), "Number of arms.")
        .field("turns", &Spirals::turns, above(0.0), "How often an arm winds around the middle.")
        .field("noise", &Spirals::noise, at_least(0.0), "Width of an arm.", unit("radians"))
        .field("seed", &Spirals::seed, at_least(0), "Of the points; independent of the experiment's seed.")
        .example("{type: spirals, samples: 600, turns: 1}");
  }

  DatasetInfo describe() const override {
    return {samples,
            {{.name = "input", .dtype = DType::f32, .shape = {2}},
             {.name = "target", .dtype = DType::i64, .classes = classes}}};
  }

  Table load() const override {
    std::vector<Column> columns;
    for (Field& field : describe().fields) {
      const std::size_t bytes = static_cast<std::size_t>(samples) * field.sample_bytes();
      columns.push_back({.field = std::move(field), .storage = HostBytes(bytes)});
    }
    auto* x = reinterpret_cast<float*>(columns[0].data());
    auto* y = reinterpret_cast<std::int64_t*>(columns[1].data());
    const std::uint64_t stream = stream_hash(static_cast<std::uint64_t>(seed), "spirals");
    for (std::int64_t i = 0; i < samples; ++i) {
      const Words4 random = random_block(stream, 0, static_cast<std::uint32_t>(i), 0);
      y[i] = uniform_below(random.word[0], static_cast<std::uint32_t>(classes));
      const double r = uniform_float(random.word[1]), v = uniform_float(random.word[2]) - 0.5;
      const double arm = static_cast<double>(y[i]) / static_cast<double>(classes);
      const double angle = 2.0 * std::numbers::pi * (arm + turns * r) + noise * v;
      x[2 * i] = static_cast<float>(r * std::cos(angle));
      x[2 * i + 1] = static_cast<float>(r * std::sin(angle));
    }
    return {samples, std::move(columns)};
  }
};
const Register<Dataset, Spirals> registered{"spirals"};

}  // namespace
